use super::*;

/// An example of the scheme as others have published it.
#[test]
fn signatures_are_those_of_everybody_s_libraries() {
    let secret: WebhookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let signature = secret.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
    assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

#[test]
fn a_secret_is_long_enough_and_says_what_it_is() {
    let encode = |length: usize| format!("whsec_{}", BASE64.encode(vec![7; length]));
    for length in [24, 32, 64] {
        encode(length).parse::<WebhookSecret>().unwrap();
    }
    // Of a file, with the end of its line.
    format!("{}\n", encode(32)).parse::<WebhookSecret>().unwrap();
    for wrong in [encode(23), encode(65), "whsec_".to_owned(), "whsec_???".to_owned(), BASE64.encode([7; 32])]
    {
        assert_eq!(wrong.parse::<WebhookSecret>().unwrap_err(), WebhookSecretError, "{wrong}");
    }
}

#[test]
fn signatures_of_other_schemes_are_passed_over() {
    let secret: WebhookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
    let ours = secret.sign("1", 1000, b"{}").unwrap();
    let now = Timestamp::from_second(1000).unwrap();
    let verify = |signatures: &str| {
        let header = |name: &str| match name {
            WEBHOOK_ID => Some("1"),
            WEBHOOK_TIMESTAMP => Some("1000"),
            _ => Some(signatures),
        };
        WebhookVerifier::new(secret.clone()).verify(header, b"{}", now).map(|_| ())
    };
    assert_eq!(verify(&format!("v1a,AAAA v1,AAAA {ours}")), Ok(()));
    let as_another = ours.replacen("v1,", "v1a,", 1);
    for wrong in [as_another.as_str(), "", "v1,", "v1,not base64", &ours[..ours.len() - 4], &ours[3..]] {
        assert_eq!(verify(wrong), Err(WebhookVerifyError::Signature), "{wrong}");
    }
}
