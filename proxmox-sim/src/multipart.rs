//! The body of an upload: `multipart/form-data` with a file among its parts.

use std::collections::BTreeMap;

use crate::request::Parameter;

/// Where the server keeps the file meanwhile; on a real one the name is random.
pub(crate) const TEMPORARY: &str = "/var/tmp/pveupload-0";

/// A part: its name, the name of its file, and its content.
type Part<'a> = (String, Option<String>, &'a [u8]);

/// The boundary that a content type names.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    let boundary = rest.trim().strip_prefix("boundary=")?.trim_matches('"');
    (kind.trim() == "multipart/form-data" && !boundary.is_empty()).then_some(boundary)
}

/// The parameters of the call: the parts, and the names of the file.
pub(crate) fn parameters(body: &[u8], boundary: &str) -> BTreeMap<String, Parameter> {
    let mut parameters = BTreeMap::new();
    for (name, file, content) in parts(body, boundary) {
        let text = match file {
            Some(file) => {
                parameters.insert("tmpfilename".to_owned(), Parameter::Text(TEMPORARY.to_owned()));
                file
            }
            None => String::from_utf8_lossy(content).into_owned(),
        };
        parameters.insert(name, Parameter::Text(text));
    }
    parameters
}

/// The size of the file.
pub(crate) fn file_size(body: &[u8], boundary: &str) -> Option<usize> {
    parts(body, boundary).find_map(|(_, file, content)| file.map(|_| content.len()))
}

fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Part<'a>> {
    let delimiter = format!("--{boundary}");
    let mut rest = after(body, delimiter.as_bytes()).map_or(&body[..0], |(_, rest)| rest);
    let delimiter = format!("\r\n--{boundary}");
    std::iter::from_fn(move || {
        let (part, next) = after(rest, delimiter.as_bytes())?;
        rest = next;
        let (head, content) = after(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(head);
        Some((value(&head, " name")?, value(&head, "filename"), content))
    })
}

/// What stands before and behind the first occurrence.
fn after<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    Some((&bytes[..at], &bytes[at + wanted.len()..]))
}

/// The value of a key in the head of a part: `name="content"`.
fn value(head: &str, key: &str) -> Option<String> {
    let rest = head.split_once(&format!("{key}=\""))?.1;
    Some(rest.split('"').next()?.to_owned())
}
