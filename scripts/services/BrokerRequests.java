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
                // One bean for each version of each kind of request.
                kinds.merge(name.getKeyProperty("request"), (Long) beans.getAttribute(name, "Count"), Long::sum);
            }
        }
        kinds.forEach((kind, count) -> System.out.println(kind + " " + count));
    }
}
