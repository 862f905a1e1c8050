//! TLS under the protocol: nothing of it may be seen above, however slowly a client reads.

use std::sync::Arc;

use bytes::BytesMut;
use isthmus_runtime::mqtt::codec::Version::V311;
use isthmus_runtime::mqtt::tls::Material;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::client::{CONNACK_V311, Hello, PATIENCE, publish, subscribe, whole};
use crate::edge::Edge;

struct Server {
    edge: Edge,
    certificate: CertificateDer<'static>,
}

impl Server {
    fn start() -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let material = Material {
            chain: own.cert.pem().into_bytes(),
            key: own.signing_key.serialize_pem().into_bytes(),
            client_ca: None,
        };
        Self { edge: Edge::start_tls(&material), certificate: own.cert.der().clone() }
    }

    async fn connect(&self, client_id: &str) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(self.edge.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        let mut client = Client { stream, buffer: BytesMut::new() };
        client.send(&Hello { client_id, ..Hello::default() }.packet(V311)).await;
        assert_eq!(client.packet().await, CONNACK_V311);
        client
    }
}

struct Client {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn packet(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = whole(&self.buffer) {
                return self.buffer.split_to(length).to_vec();
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            assert!(read.expect("the server sends nothing").unwrap() > 0, "the server closed the connection");
        }
    }
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_in_its_order() {
    const MESSAGES: usize = 200;
    let server = Server::start();
    let mut slow = server.connect("slow").await;
    slow.send(&subscribe(V311, 1, &[("t", 0)])).await;
    slow.packet().await;
    let mut publisher = server.connect("publisher").await;
    let payload = |number: usize| vec![number as u8; 50_000];
    for number in 0..MESSAGES {
        publisher.send(&publish(V311, "t", 0, &payload(number))).await;
    }
    // All of it is on its way, more than any buffer of a socket, before the first byte is read.
    server.edge.routed.wait_for(MESSAGES).await;
    for number in 0..MESSAGES {
        assert_eq!(slow.packet().await, publish(V311, "t", 0, &payload(number)), "message {number}");
    }
}

#[tokio::test]
async fn packets_that_share_a_record_are_all_served() {
    let server = Server::start();
    let mut client = server.connect("client").await;
    // Enough for several records, and nothing comes after them that would wake anybody.
    client.send(&[0xC0, 0].repeat(30_000)).await;
    for _ in 0..30_000 {
        assert_eq!(client.packet().await, [0xD0, 0]);
    }
}
