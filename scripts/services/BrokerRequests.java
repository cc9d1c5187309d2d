import com.sun.tools.attach.VirtualMachine;
import java.util.TreeMap;
import javax.management.ObjectName;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** The requests that a broker has answered since it started, by their kind: the broker's own counters. {@code java BrokerRequests.java PID} */
public class BrokerRequests {
    public static void main(String[] args) throws Exception {
        VirtualMachine broker = VirtualMachine.attach(args[0]);
        String address = broker.startLocalManagementAgent();
        broker.detach();
        var kinds = new TreeMap<String, Long>();
        try (var connector = JMXConnectorFactory.connect(new JMXServiceURL(address))) {
            var beans = connector.getMBeanServerConnection();
            var pattern = new ObjectName("kafka.network:type=RequestMetrics,name=RequestsPerSec,*");
            for (ObjectName name : beans.queryNames(pattern, null)) {
                // A fetch counts as one of a consumer's or a follower's, and once more as a fetch.
                String kind = name.getKeyProperty("request");
                if (kind.equals("FetchConsumer") || kind.equals("FetchFollower")) continue;
                // One bean for each version of each kind of request.
                kinds.merge(kind, (Long) beans.getAttribute(name, "Count"), Long::sum);
            }
        }
        kinds.forEach((kind, count) -> System.out.println(kind + " " + count));
    }
}
