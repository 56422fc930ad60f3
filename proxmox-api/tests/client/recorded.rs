//! Decodes what real servers answered, if the recordings are there: every answer of a typed call becomes the value that
//! was recorded, or an error of the right class.

use std::collections::BTreeMap;

use crate::canned::{Canned, answer};
use crate::described::recordings;
use crate::expected::class;
use crate::recorded_calls::call;
use proxmox_api::{ApiError, Failure, Params, Sent};
use serde_json::Value;

#[tokio::test]
async fn every_recorded_answer_is_understood() {
    let folder = recordings();
    if !folder.is_dir() {
        println!("NOT COMPARED: no recordings at {}", folder.display());
        return;
    }
    let server = Canned::start([]).await;
    let client = server.client();
    // Calls of which we have answers, and those that have no typed call.
    let (mut values, mut errors, mut untyped) = (0, 0, BTreeMap::<String, usize>::new());
    for file in ["pve-8.4", "pve-9.2", "golden-8.4", "golden-9.2"] {
        let text = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))).unwrap();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            // Requests that were written by hand are about the server's HTTP, not about answers.
            if row["status"].is_null() || !row["raw_request"].is_null() || !row["raw_body"].is_null() {
                continue;
            }
            let (Some(path), Some(method)) = (row["path"].as_str(), row["method"].as_str()) else { continue };
            let Some(path) = path.strip_prefix("/api2/json/") else { continue };
            let status = row["status"].as_u64().unwrap();
            let body = match &row["response"] {
                Value::Null => row["response_text"].as_str().unwrap_or_default().to_owned(),
                body => body.to_string(),
            };
            let reason = row["reason"].as_str().unwrap_or_default();
            server.push(answer(&format!("{status} {reason}"), &body));
            let sent = server.requests().len();
            let Some(outcome) = call(&client, method, path, &row).await else {
                // Take the answer back with an untyped call.
                let _ = client.get::<Value>("/version", &Params::new()).await;
                *untyped.entry(format!("{method} {}", path.split('?').next().unwrap())).or_default() += 1;
                continue;
            };
            assert_eq!(server.requests().len(), sent + 1, "{path}");
            match outcome {
                Ok(()) => {
                    values += 1;
                    // Two refusals that are answers.
                    let meant = path.contains("nextid") || path.contains("ha/resources");
                    assert!(status == 200 || meant, "{line}");
                }
                Err(error) => {
                    errors += 1;
                    check_error(&error, &row, line);
                }
            }
        }
    }
    println!("{values} values and {errors} errors; without a typed call: {} calls", untyped.len());
    assert!(values > 1900 && errors > 250, "{values} values and {errors} errors");
}

fn check_error(error: &ApiError, row: &Value, line: &str) {
    let answer = error.answer().unwrap_or_else(|| panic!("{error} for {line}"));
    assert_eq!(Some(u64::from(answer.status)), row["status"].as_u64(), "{line}");
    let message = row["response"]["message"].as_str().or(row["reason"].as_str()).unwrap_or_default();
    assert_eq!(answer.message, message.trim_end(), "{line}");
    let recorded = row["response"]["errors"].as_object().cloned().unwrap_or_default();
    assert_eq!(answer.errors.len(), recorded.len(), "{line}");
    for (name, text) in &recorded {
        let ours =
            answer.errors.iter().find(|(key, _)| key.as_str() == name).map(|(_, text)| text.trim_end());
        assert_eq!(ours, text.as_str().map(str::trim_end), "{name} of {line}");
    }
    let sent = match answer.status {
        401 | 501 => Sent::Refused,
        595 => Sent::No,
        596 => Sent::Unknown,
        500 => Sent::Yes,
        _ => error.sent(),
    };
    assert_eq!(error.sent(), sent, "{line}");
    let parameter = recorded.values().next().and_then(Value::as_str);
    let expected = match answer.status {
        401 => Failure::Unauthorized,
        501 => Failure::Refused,
        595 => Failure::Transient,
        596 => Failure::UnknownOutcome,
        _ => class(parameter.unwrap_or(message)),
    };
    assert_eq!(error.class(), expected, "{error} for {line}");
}
