//! A server, the provider that is tested, and a way to see and change records past it.

use async_trait::async_trait;
use deploy_dns::{DnsProvider, Rfc2136, StandingData, TsigAlgorithm, TsigKey};
use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use throwaway_dns::{Bind, Key, PowerDns, Row};
use tokio::net::UdpSocket;

pub(crate) const FORWARD: &str = "example.net";
pub(crate) const REVERSE: &str = "2.0.192.in-addr.arpa";
pub(crate) const REVERSE6: &str = "8.b.d.0.1.0.0.2.ip6.arpa";
pub(crate) const ZONES: [&str; 3] = [FORWARD, REVERSE, REVERSE6];

#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Starts the server.
    fn start() -> Self
    where
        Self: Sized;

    fn provider(&self) -> Arc<dyn DnsProvider>;

    /// What it serves at these names, past the provider: "NAME TYPE DATA TTL" each, sorted.
    async fn lines(&self, names: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        for name in names {
            for kind in [RecordType::A, RecordType::AAAA, RecordType::PTR, RecordType::CNAME, RecordType::TXT]
            {
                lines.extend(asked(self.address(), name, kind).await);
            }
        }
        lines.sort();
        lines
    }

    /// Puts somebody else's record, past the provider.
    async fn put(&self, zone: &str, name: &str, kind: &str, data: &str);

    fn address(&self) -> SocketAddr;

    fn stop(&mut self);

    fn start_again(&mut self);
}

/// Asks by UDP, as a resolver does.
async fn asked(server: SocketAddr, name: &str, kind: RecordType) -> Vec<String> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut answer = [0; 4096];
    let received = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer)).await;
    let length = received.expect("an answer in time").unwrap();
    let answer = Message::from_vec(&answer[..length]).unwrap();
    let of_kind = answer.answers.iter().filter(|record| record.record_type() == kind);
    of_kind
        .map(|record| {
            let data = StandingData::read(&kind.to_string(), &record.data.to_string());
            format!("{} {data} {}", record.name.to_ascii().trim_end_matches('.'), record.ttl)
        })
        .collect()
}

#[async_trait]
impl Place for PowerDns {
    fn start() -> Self {
        PowerDns::start(&ZONES).unwrap()
    }

    fn provider(&self) -> Arc<dyn DnsProvider> {
        Arc::new(deploy_dns::PowerDns::new(&self.url(), self.key().into()).unwrap())
    }

    async fn put(&self, zone: &str, name: &str, kind: &str, data: &str) {
        let (name, kind, content) = (name.to_owned(), kind.to_owned(), data.to_owned());
        self.insert(zone, &Row { name, kind, content, ttl: 3600, disabled: false }).unwrap();
    }

    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn stop(&mut self) {
        self.stop();
    }

    fn start_again(&mut self) {
        self.start_again().unwrap();
    }
}

pub(crate) fn key(key: &Key) -> TsigKey {
    TsigKey {
        name: key.name.parse().unwrap(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: key.secret.clone().into(),
    }
}

#[async_trait]
impl Place for Bind {
    fn start() -> Self {
        Bind::start(&ZONES).unwrap()
    }

    fn provider(&self) -> Arc<dyn DnsProvider> {
        Arc::new(Rfc2136::new(self.address(), &key(self.key())).unwrap())
    }

    async fn put(&self, zone: &str, name: &str, kind: &str, data: &str) {
        let somebody = Rfc2136::new(self.address(), &key(self.other_key())).unwrap();
        let (zone, name) = (zone.parse().unwrap(), name.parse().unwrap());
        let StandingData::Known(data) = StandingData::read(kind, data) else {
            panic!("{kind} is not tested")
        };
        let seen = somebody.list(&zone, &name).await.unwrap();
        somebody.upsert(&zone, &name, &data, 3600, &seen).await.unwrap();
    }

    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn stop(&mut self) {
        self.stop();
    }

    fn start_again(&mut self) {
        self.start_again().unwrap();
    }
}
