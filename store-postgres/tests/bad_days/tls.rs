//! Encrypted connections, and with whom.

use crate::rig::{begun, claim, order, own_server, settings};
use store_postgres::{ConnectError, PostgresStore, Settings};
use throwaway_postgres::Server;

/// Why nothing can be had with these settings.
async fn refused(url: &str) -> String {
    let error = PostgresStore::connect(settings(url)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn the_server_is_known_by_its_authority_and_its_name() {
    let server = Server::builder().tls().start().unwrap();
    let by_address = server.create_database("panel").unwrap();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let certificates = server.certificates().unwrap();
    let full = |url: &str, authority: &std::path::Path| {
        format!("{url}?sslmode=verify-full&sslrootcert={}", authority.display())
    };

    let store = begun(&full(&by_name, certificates.authority())).await;
    order(&store, 1).await;
    assert_eq!(claim(&store).await.len(), 1);
    let _listening = store.listen(std::sync::Arc::new(deploy_core::NoDoorbell));
    let plain = "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name = 'pve-deploy' AND NOT ssl";
    assert_eq!(server.psql("panel", plain).unwrap(), "0");
    assert_ne!(server.psql("panel", &plain.replace("NOT ssl", "ssl")).unwrap(), "0");

    let words = refused(&full(&by_name, certificates.other_authority())).await;
    for word in ["UnknownIssuer", "sslrootcert must name"] {
        assert!(words.contains(word), "{word:?} in: {words}");
    }
    let words = refused(&full(&by_address, certificates.authority())).await;
    for word in ["not valid for name", "127.0.0.1", "localhost", "connect by a name"] {
        assert!(words.contains(word), "{word:?} in: {words}");
    }
    // Without verification whoever answers will do; without encryption this server will not.
    for mode in ["require", "prefer"] {
        PostgresStore::connect(settings(&format!("{by_address}?sslmode={mode}")))
            .await
            .unwrap()
            .close()
            .await;
    }
    let words = refused(&format!("{by_address}?sslmode=disable")).await;
    assert!(words.contains("no encryption") && words.contains("pg_hba.conf"), "{words}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let database = own_server().fresh_database().unwrap();
    let words = refused(&format!("{}?sslmode=require", database.url())).await;
    assert!(words.contains("does not support TLS") && words.contains("sslmode=prefer"), "{words}");
    PostgresStore::connect(settings(&format!("{}?sslmode=prefer", database.url()))).await.unwrap();
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url = format!("postgres://joe@db1/panel?sslmode=verify-full&sslrootcert={}", file.path().display());
    let error = Settings::parse(&url).unwrap_err().to_string();
    assert!(error.contains("sslrootcert") && error.contains("PEM"), "{error}");
}
