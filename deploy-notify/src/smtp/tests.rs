use super::*;

#[track_caller]
fn refused(settings: SmtpSettings) -> SmtpConfigError {
    Smtp::new(settings).expect_err("it is taken")
}

#[test]
fn in_the_clear_only_this_machine_is_spoken_to() {
    let plain = |host: &str| SmtpSettings { security: Security::Plain, ..SmtpSettings::new(host) };
    for here in ["localhost", "127.0.0.1", "127.1.2.3", "::1"] {
        Smtp::new(plain(here)).unwrap();
    }
    for elsewhere in ["mail.example.net", "192.0.2.1", "localhost.example.net", "::2"] {
        assert_eq!(refused(plain(elsewhere)), SmtpConfigError::PlainAcrossNetwork(elsewhere.to_owned()));
    }
}

#[test]
fn what_is_no_host_and_no_ca_is_refused() {
    for host in ["", "mail example", "mail\r\nQUIT", "smtp://mail.example.net", "mail.example.net:25"] {
        assert_eq!(refused(SmtpSettings::new(host)), SmtpConfigError::Host(host.to_owned()));
    }
    for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let trust = MailTrust::Ca(pem.into());
        let error = refused(SmtpSettings { trust, ..SmtpSettings::new("mail.example.net") });
        assert!(matches!(error, SmtpConfigError::Trust(_)), "{pem}: {error}");
    }
}

#[test]
fn the_usual_ports_are_taken_and_passwords_are_not_shown() {
    let smtp = |security| Smtp::new(SmtpSettings { security, ..SmtpSettings::new("localhost") }).unwrap();
    let ports = [(Security::Tls, 465), (Security::StartTls, 587), (Security::Plain, 25)];
    for (security, port) in ports {
        assert_eq!(format!("{:?}", smtp(security)), format!("Smtp(\"localhost:{port}\")"));
    }
    let login = Login { user: "panel".to_owned(), password: "s3cret".into() };
    assert!(!format!("{login:?}").contains("s3cret"));
}
