//! Mutual TLS as callers meet it: a real server, real handshakes, certificates in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use proto::client;
use proto::reason;
use proto::service::callers::{ALLOWED, Known};
use proto::service::grpc;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use proto::tls::files::Files;
use proto::tls::identity::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const RESERVE: &str = "/medialab.billing.v1.BillingService/Reserve";

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate says besides who has it.
#[derive(Clone, Copy)]
struct Terms {
    host: &'static str,
    last_year: i32,
}

const GOOD: Terms = Terms { host: "127.0.0.1", last_year: 2099 };

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the three files of a service, as cert-manager does.
    fn issue(&self, folder: &Path, service: &str, terms: Terms) -> Files {
        let uri = format!("spiffe://media-lab/ns/apps/sa/{service}");
        let mut params = CertificateParams::new(vec![terms.host.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(terms.last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        let write = |name: &str, text: String| -> PathBuf {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Files {
            cert: write("tls.crt", certificate.pem()),
            key: write("tls.key", key.serialize_pem()),
            ca: write("ca.crt", self.0.pem()),
        }
    }
}

/// A service that has no calls of its own: what is let through is UNIMPLEMENTED.
struct Server {
    port: u16,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(files: Files) -> Self {
        let identity = Identity::load(files).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = GrpcListener::open("TEST", address, Some(identity)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = grpc::serve(listener, Routes::default(), &[], Shutdown::new());
        Self { port, task: tokio::spawn(serving) }
    }

    fn channel(&self, identity: &Identity) -> Channel {
        client::connect(&format!("https://127.0.0.1:{}", self.port), Some(identity)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn call(channel: Channel, path: &'static str) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel);
    if let Err(error) = grpc.ready().await {
        return Status::unavailable(error.to_string());
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = PathAndQuery::from_static(path);
    grpc.unary(Request::new(()), path, codec).await.unwrap_err()
}

struct Lab {
    folder: TempDir,
    authority: Authority,
    server: Server,
}

impl Lab {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new();
        let files = authority.issue(&folder.path().join("billing-svc"), "billing-svc", GOOD);
        Self { server: Server::start(files).await, folder, authority }
    }

    /// The identity of a caller, with files in a folder of its own: they are read again for each
    /// connection.
    fn identity(&self, folder: &str, issued: (&Authority, &str, Terms)) -> Identity {
        let (authority, service, terms) = issued;
        let mut files = authority.issue(&self.folder.path().join(folder), service, terms);
        // Whoever it is, it trusts the service that it calls.
        files.ca = self.folder.path().join("billing-svc/ca.crt");
        Identity::load(files).unwrap()
    }
}

#[tokio::test]
async fn each_caller_may_make_the_calls_of_its_rows_and_no_others() {
    let lab = Lab::new().await;
    for known in Known::ALL {
        let identity = lab.identity(known.name(), (&lab.authority, known.name(), GOOD));
        let channel = lab.server.channel(&identity);
        for (path, callers) in ALLOWED {
            let status = call(channel.clone(), path).await;
            let expected = match callers.contains(&known) {
                true => Code::Unimplemented,
                false => Code::PermissionDenied,
            };
            assert_eq!(status.code(), expected, "{known:?} calls {path}: {status}");
            if expected == Code::PermissionDenied {
                assert_eq!(reason::of(&status).as_deref(), Some(reason::CALLER_NOT_ALLOWED));
            }
        }
    }
    let stranger = lab.identity("somebody", (&lab.authority, "somebody", GOOD));
    assert_eq!(call(lab.server.channel(&stranger), RESERVE).await.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn who_cannot_prove_a_name_is_not_let_in() {
    let lab = Lab::new().await;
    let bot = "bot-gateway";
    let stranger = lab.identity("stranger", (&Authority::new(), bot, GOOD));
    let stranger = lab.server.channel(&stranger);
    let expired = lab.identity("expired", (&lab.authority, bot, Terms { last_year: 2021, ..GOOD }));
    let expired = lab.server.channel(&expired);
    let plain = client::channel(&format!("http://127.0.0.1:{}", lab.server.port)).unwrap();

    for (who, channel) in [("a stranger", stranger), ("an old one", expired), ("plain", plain)] {
        let status = call(channel, RESERVE).await;
        let was_answered = [Code::Unimplemented, Code::PermissionDenied].contains(&status.code());
        assert!(!was_answered, "{who}: {status}");
    }
    let mut silent = connect_without_certificate(&lab).await;
    let read = timeout(Duration::from_secs(10), silent.read_u8()).await;
    assert!(read.expect("the server leaves the connection open").is_err());
    // The others are served on.
    let good = lab.identity("good", (&lab.authority, bot, GOOD));
    assert_eq!(call(lab.server.channel(&good), RESERVE).await.code(), Code::Unimplemented);
}

/// By TLS 1.3 the client's side is done before the server has seen that there is no certificate.
async fn connect_without_certificate(lab: &Lab) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(lab.folder.path().join("billing-svc/ca.crt")).unwrap();
    roots.add(ca).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", lab.server.port)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// The certificate that the server shows to new connections.
async fn shown(lab: &Lab) -> CertificateDer<'static> {
    let stream = connect_without_certificate(lab).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn a_service_with_another_name_is_not_called() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let elsewhere = Terms { host: "billing-svc", ..GOOD };
    let server = authority.issue(&folder.path().join("server"), "billing-svc", elsewhere);
    let server = Server::start(server).await;
    let bot = authority.issue(&folder.path().join("bot"), "bot-gateway", GOOD);

    let status = call(server.channel(&Identity::load(bot).unwrap()), RESERVE).await;

    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn certificates_are_replaced_while_calls_go_on_and_none_fails() {
    let lab = Lab::new().await;
    let identity = lab.identity("bot-gateway", (&lab.authority, "bot-gateway", GOOD));
    let before = (shown(&lab).await, identity.configs().leaf.clone());
    let calling = async {
        let old = lab.server.channel(&identity);
        let mut calls = 0_u32;
        loop {
            // One on a connection from before, one on a new connection.
            for channel in [old.clone(), lab.server.channel(&identity)] {
                let status = call(channel, RESERVE).await;
                assert_eq!(status.code(), Code::Unimplemented, "after {calls} calls: {status}");
                calls += 1;
            }
        }
    };
    let replacing = async {
        let folder = lab.folder.path();
        lab.authority.issue(&folder.join("new"), "billing-svc", GOOD);
        // Half of a change: the certificate is there before its key, and is not used.
        std::fs::copy(folder.join("new/tls.crt"), folder.join("billing-svc/tls.crt")).unwrap();
        sleep(Duration::from_secs(3)).await;
        assert_eq!(shown(&lab).await, before.0);
        std::fs::copy(folder.join("new/tls.key"), folder.join("billing-svc/tls.key")).unwrap();
        lab.authority.issue(&folder.join("bot-gateway"), "bot-gateway", GOOD);
        while shown(&lab).await == before.0 || identity.configs().leaf == before.1 {
            sleep(Duration::from_millis(50)).await;
        }
        // Calls on connections that were made with the new files.
        sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        () = calling => {}
        replaced = timeout(Duration::from_secs(60), replacing) => replaced.expect("not replaced"),
    }
}
