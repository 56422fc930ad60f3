//! Requests that were written by hand, byte for byte.

use proxmox_sim::Request;

/// Reads one. Line ends are bare newlines in the recording.
pub(crate) fn request(text: &str) -> Request {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: body.as_bytes().to_vec(),
        ..Request::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-type" => request.content_type = Some(value.to_owned()),
            "transfer-encoding" => request.chunked = value == "chunked",
            // Nobody reads more than was announced.
            "content-length" => request.body.truncate(value.parse().unwrap_or(0)),
            _ => {}
        }
    }
    request
}
