//! A Postgres that takes nobody without TLS, and each `sslmode` of a URL.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use daybook_postgres::{Connector, DatabaseError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use uuid::Uuid;

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services/services");

/// A folder with certificates, and a server in it; stopped and removed when it is dropped.
struct Server {
    folder: PathBuf,
    address: String,
}

fn services(verb: &str, folder: &Path, settings: &str) -> Output {
    // Another server's settings in the shell are not this one's.
    let mut command = Command::new(SERVICES);
    command.args([verb.as_ref(), folder.as_os_str()]).env_remove("DAYBOOK_DATABASE_URL").env_remove("DAYBOOK_KAFKA");
    if verb == "start" {
        command.arg("postgres").env("PG_EXTRA", settings);
    }
    command.output().expect("the script runs")
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("it signs itself")
}

impl Server {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("daybook-tls-{}", Uuid::new_v4()));
        fs::create_dir(&folder).expect("a folder of its own");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("it is ours");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("it is ours");
        let (ours, other) = (authority("ours"), authority("another"));
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid").signed_by(&key, &ours).expect("it signs");
        write("ours.pem", &ours.pem());
        write("other.pem", &other.pem());
        write("server.pem", &certificate.pem());
        write("server.key", &key.serialize_pem());
        write("hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
        fs::set_permissions(folder.join("server.key"), Permissions::from_mode(0o600)).expect("it is ours");
        if fs::metadata(&folder).expect("there").uid() == 0 {
            // As root, the server runs under a user of its own, to whom the key must belong.
            let id = Command::new("id").args(["-u", "daybook"]).output().expect("id runs");
            let user = String::from_utf8_lossy(&id.stdout).trim().parse().expect("the services' user is there");
            chown(folder.join("server.key"), Some(user), None).expect("root may");
        }
        let at = |name: &str| format!("'{}'", folder.join(name).display());
        let settings = format!("ssl=on;ssl_cert_file={};ssl_key_file={};hba_file={}", at("server.pem"), at("server.key"), at("hba.conf"));
        let started = services("start", &folder.join("service"), &settings);
        // From here on it is cleared away, in any case.
        let mut server = Self { address: String::new(), folder };
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let env = fs::read_to_string(server.folder.join("service/services.env")).expect("it says where it serves");
        let url = env.lines().find_map(|line| line.strip_prefix("DAYBOOK_DATABASE_URL=")).expect("its URL");
        url.clone_into(&mut server.address);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        services("wipe", &self.folder.join("service"), "");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether the connection is encrypted, or why there is none.
async fn connect(server: &Server, host: &str, query: &str) -> Result<bool, DatabaseError> {
    let url = format!("{}?{query}", server.address.replace("127.0.0.1", host));
    let url = url.replace("FOLDER", &server.folder.display().to_string());
    let connector = Connector::new(&url, None, &[("jit", "off")], "test")?;
    // By a pool, as nearly everybody connects.
    let pool = connector.pool(1, std::time::Duration::from_secs(5))?;
    let client = pool.get().await?;
    let row = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await?;
    Ok(row.get(0))
}

#[tokio::test]
async fn each_sslmode_holds_what_it_promises_against_a_server_that_takes_only_tls() {
    let server = Server::start();
    let refused = async |host: &str, query: &str| connect(&server, host, query).await.expect_err(query).to_string();
    let why = refused("localhost", "sslmode=disable").await;
    assert!(why.contains("no pg_hba.conf entry") && why.contains("no encryption"), "{why}");
    for query in ["application_name=x", "sslmode=prefer", "sslmode=require"] {
        // Nothing is verified: any host will do.
        assert!(connect(&server, "127.0.0.1", query).await.expect(query), "{query}");
    }
    // The authority, and not the host.
    assert!(connect(&server, "127.0.0.1", "sslmode=verify-ca&sslrootcert=FOLDER/ours.pem").await.expect("of the authority"));
    let why = refused("127.0.0.1", "sslmode=verify-ca&sslrootcert=FOLDER/other.pem").await;
    assert!(why.contains("UnknownIssuer") || why.contains("BadSignature"), "{why}");
    // Both.
    assert!(
        connect(&server, "localhost", "sslmode=verify-full&sslrootcert=FOLDER/ours.pem").await.expect("of the authority, for the host")
    );
    let why = refused("localhost", "sslmode=verify-full&sslrootcert=FOLDER/other.pem").await;
    assert!(why.contains("UnknownIssuer") || why.contains("BadSignature"), "{why}");
    let why = refused("127.0.0.1", "sslmode=verify-full&sslrootcert=FOLDER/ours.pem").await;
    assert!(why.contains("not valid for name"), "{why}");
}
