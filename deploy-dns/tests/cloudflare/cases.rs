use crate::replay::{Answer, Replay, failed, ok, page};
use deploy_core::{DnsData, DnsName, ErrorClass, Sent};
use deploy_dns::{Cloudflare, DnsProvider, Standing, StandingData};
use jiff::SignedDuration;
use serde_json::{Value, json};

const ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn zone() -> DnsName {
    name("example.net")
}

fn at() -> DnsName {
    name("vps.example.net")
}

fn ours() -> DnsData {
    DnsData::A([192, 0, 2, 7].into())
}

/// The answer that shows the zone.
fn zones() -> Answer {
    let zone =
        json!({ "id": ID, "name": "example.net", "status": "active", "paused": false, "type": "full" });
    page(&[zone.to_string()], 1, 1)
}

fn record(id: &str, kind: &str, content: &str, ttl: u32) -> String {
    json!({
        "id": id, "type": kind, "name": "vps.example.net", "content": content, "ttl": ttl, "proxied": false,
        "proxiable": true, "settings": {}, "meta": {}, "comment": null, "tags": [],
        "created_on": "2026-01-01T05:20:00.12345Z", "modified_on": "2026-01-01T05:20:00.12345Z",
    })
    .to_string()
}

async fn cloudflare(answers: impl IntoIterator<Item = Answer>) -> (Replay, Cloudflare) {
    let replay = Replay::start(answers).await;
    let provider = Cloudflare::at(&replay.url, &"t0ken".into()).unwrap();
    (replay, provider)
}

/// The body of the n-th request.
fn body(replay: &Replay, n: usize) -> Value {
    let asked = replay.asked();
    let (_, body) = asked[n].split_once('{').expect("a body");
    serde_json::from_str(&format!("{{{body}")).unwrap()
}

const LIST: &str = "GET /zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records?name=vps.example.net";

#[tokio::test]
async fn every_page_is_read_and_the_zone_is_asked_for_once() {
    let first: Vec<String> =
        (0..100).map(|n| record(&format!("r{n}"), "A", &format!("198.51.100.{n}"), 3600)).collect();
    let second = [record("r100", "AAAA", "2001:db8::1", 1), record("r101", "CNAME", "www.example.org", 300)];
    let answers = [zones(), page(&first, 1, 2), page(&second, 2, 2), page(&[], 1, 0)];
    let (replay, provider) = cloudflare(answers).await;
    let standing = provider.list(&zone(), &at()).await.unwrap();
    assert_eq!(standing.len(), 102);
    let six = StandingData::Known(DnsData::Aaaa("2001:db8::1".parse().unwrap()));
    assert!(standing.contains(&Standing { data: six, ttl: 1 }));
    let alias = StandingData::Other { kind: "CNAME".to_owned(), text: "www.example.org".to_owned() };
    assert!(standing.contains(&Standing { data: alias, ttl: 300 }));
    assert_eq!(provider.list(&zone(), &at()).await.unwrap(), []);
    let expected = [
        "GET /zones?name=example.net&page=1&per_page=100".to_owned(),
        format!("{LIST}&page=1&per_page=100"),
        format!("{LIST}&page=2&per_page=100"),
        format!("{LIST}&page=1&per_page=100"),
    ];
    assert_eq!(replay.asked(), expected);
}

#[tokio::test]
async fn a_record_is_made_beside_those_of_others() {
    let there = page(&[record("other", "A", "198.51.100.1", 3600)], 1, 1);
    let (replay, provider) = cloudflare([zones(), there, ok(&record("new", "A", "192.0.2.7", 300))]).await;
    provider.upsert(&zone(), &at(), &ours(), 300, &[]).await.unwrap();
    let asked = replay.asked();
    assert!(asked[2].starts_with(&format!("POST /zones/{ID}/dns_records {{")), "{asked:?}");
    let expected = json!({
        "type": "A", "name": "vps.example.net", "content": "192.0.2.7", "ttl": 300, "proxied": false
    });
    assert_eq!((asked.len(), body(&replay, 2)), (3, expected));
}

/// Found by a look, or said by the API where it came about in between.
#[tokio::test]
async fn a_record_that_is_there_is_as_good_as_made() {
    let there = page(&[record("mine", "A", "192.0.2.7", 300)], 1, 1);
    let (replay, provider) = cloudflare([zones(), there]).await;
    provider.upsert(&zone(), &at(), &ours(), 300, &[]).await.unwrap();
    assert_eq!(replay.asked().len(), 2);
    for code in [81057, 81058] {
        let exists = failed(400, code, "An identical record already exists.");
        let (replay, provider) = cloudflare([zones(), page(&[], 1, 0), exists]).await;
        provider.upsert(&zone(), &at(), &ours(), 300, &[]).await.unwrap();
        assert_eq!(replay.left(), 0);
    }
}

#[tokio::test]
async fn another_time_to_live_changes_that_record_alone() {
    let there = [record("other", "A", "198.51.100.1", 3600), record("mine", "A", "192.0.2.7", 300)];
    let (replay, provider) =
        cloudflare([zones(), page(&there, 1, 1), ok(&record("mine", "A", "192.0.2.7", 60))]).await;
    // The least that the API takes is a minute.
    provider.upsert(&zone(), &at(), &ours(), 5, &[]).await.unwrap();
    assert!(replay.asked()[2].starts_with(&format!("PATCH /zones/{ID}/dns_records/mine {{")));
    assert_eq!(body(&replay, 2), json!({ "ttl": 60 }));
}

#[tokio::test]
async fn exactly_the_record_that_is_named_is_taken_away() {
    let there = [
        record("other", "A", "198.51.100.1", 3600),
        record("mine", "A", "192.0.2.7", 300),
        record("text", "TXT", "\"192.0.2.7\"", 300),
    ];
    let gone = failed(404, 81044, "Record does not exist.");
    for answer in [ok("{\"id\":\"mine\"}"), gone] {
        let (replay, provider) = cloudflare([zones(), page(&there, 1, 1), answer]).await;
        provider.delete(&zone(), &at(), &ours()).await.unwrap();
        assert_eq!(replay.asked()[2..], [format!("DELETE /zones/{ID}/dns_records/mine")]);
    }
    let (replay, provider) = cloudflare([zones(), page(&there[..1], 1, 1)]).await;
    provider.delete(&zone(), &at(), &ours()).await.unwrap();
    assert_eq!(replay.asked().len(), 2, "what does not stand need not be taken away");
}

#[tokio::test]
async fn a_name_of_an_address_is_written_and_read() {
    let (zone, at) = (name("2.0.192.in-addr.arpa"), name("7.2.0.192.in-addr.arpa"));
    let zones = json!({ "id": ID, "name": "2.0.192.in-addr.arpa" }).to_string();
    let there = record("mine", "PTR", "vps.example.net", 300)
        .replace("\"vps.example.net\",\"prox", "\"7.2.0.192.in-addr.arpa\",\"prox");
    let there = there.replacen("\"name\":\"vps.example.net\"", "\"name\":\"7.2.0.192.in-addr.arpa\"", 1);
    let answers =
        [page(&[zones], 1, 1), page(&[], 1, 0), ok(&there), page(std::slice::from_ref(&there), 1, 1)];
    let (replay, provider) = cloudflare(answers).await;
    let pointer = DnsData::Ptr(name("vps.example.net"));
    provider.upsert(&zone, &at, &pointer, 300, &[]).await.unwrap();
    assert_eq!(body(&replay, 2)["content"], "vps.example.net");
    let standing = provider.list(&zone, &at).await.unwrap();
    assert_eq!(standing, [Standing { data: StandingData::Known(pointer), ttl: 300 }]);
}

#[tokio::test]
async fn what_is_missing_is_said_in_words() {
    let replay = Replay::start([]).await;
    let provider = Cloudflare::at(&replay.url, &"an0ther".into()).unwrap();
    let error = provider.check(&zone()).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Unauthorized, Sent::Answered));
    let expected =
        "Cloudflare: Invalid access token [9109] (403): the token needs the rights Zone / Zone / Read";
    assert!(error.message.starts_with(expected), "{error}");
    assert!(!error.message.contains("an0ther"));

    let (_replay, provider) = cloudflare([page(&[], 1, 0)]).await;
    let error = provider.check(&zone()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Refused);
    assert!(error.message.contains("no zone example.net to this token"), "{error}");

    let (_replay, provider) = cloudflare([zones(), failed(403, 10000, "Authentication error")]).await;
    let error = provider.check(&zone()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.starts_with("zone example.net cannot be written: "), "{error}");
}

#[tokio::test]
async fn a_zone_that_can_be_written_is_left_as_it_was() {
    let probe = record("probe", "TXT", "\"can be written\"", 60).replacen(
        "vps.example.net",
        "pve-deploy-probe.example.net",
        1,
    );
    let answers = [zones(), ok(&probe), page(std::slice::from_ref(&probe), 1, 1), ok("{\"id\":\"probe\"}")];
    let (replay, provider) = cloudflare(answers).await;
    provider.check(&zone()).await.unwrap();
    assert_eq!(replay.asked()[3], format!("DELETE /zones/{ID}/dns_records/probe"));
    let (_replay, provider) = cloudflare([zones(), ok(&probe), page(&[], 1, 0)]).await;
    let error = provider.check(&zone()).await.unwrap_err();
    assert!(error.message.contains("accepted and is not shown"), "{error}");
}

#[tokio::test]
async fn too_many_requests_are_told_with_the_time_to_wait() {
    let limited = failed(429, 971, "Please wait and consider throttling your request speed");
    for (headers, wait) in [("retry-after: 42\r\n", 42), ("", 300)] {
        let (_replay, provider) = cloudflare([zones(), Answer { headers, ..limited.clone() }]).await;
        let error = provider.list(&zone(), &at()).await.unwrap_err();
        assert_eq!((error.class, error.sent), (ErrorClass::Busy, Sent::Answered));
        assert_eq!(error.retry_after, Some(SignedDuration::from_secs(wait)));
        assert!(error.message.contains("throttling your request speed [971] (429)"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_from_in_front_of_the_api_says_nothing_about_the_request() {
    let gateway = Answer { status: 502, headers: "", body: "<html>Bad gateway</html>".to_owned() };
    let (_replay, provider) = cloudflare([zones(), page(&[], 1, 0), gateway]).await;
    let error = provider.upsert(&zone(), &at(), &ours(), 300, &[]).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Unknown, Sent::Unknown), "{error}");
    let odd = Answer { status: 200, headers: "", body: "{}".to_owned() };
    let (_replay, provider) = cloudflare([zones(), odd]).await;
    assert!(provider.list(&zone(), &at()).await.is_err(), "no success was said");
}

#[tokio::test]
async fn a_zone_that_was_added_anew_is_asked_for_again() {
    let unknown = failed(
        404,
        7003,
        "Could not route to /zones/0/dns_records, perhaps your object identifier is invalid?",
    );
    let (replay, provider) = cloudflare([zones(), unknown, zones(), page(&[], 1, 0)]).await;
    let error = provider.list(&zone(), &at()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Refused, "{error}");
    provider.list(&zone(), &at()).await.unwrap();
    assert_eq!(replay.asked()[2], "GET /zones?name=example.net&page=1&per_page=100");
}

#[tokio::test]
async fn an_api_that_is_not_there_was_sent_nothing() {
    let provider = Cloudflare::at("http://127.0.0.1:1/client/v4", &"t0ken".into()).unwrap();
    let error = provider.list(&zone(), &at()).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Unreachable, Sent::No), "{error}");
}
