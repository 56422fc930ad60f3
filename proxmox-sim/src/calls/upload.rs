//! `upload`: files for installing from, made by `imgcopy`.

use std::path::Path;

use super::{Answered, Call, Outcome};
use crate::multipart::TEMPORARY;
use crate::reply::Refusal;
use crate::works::Import;
use crate::world::World;

/// Content, and how the names of its files end.
const ENDINGS: [(&str, &[&str]); 3] = [
    ("iso", &[".iso", ".img"]),
    ("vztmpl", &[".tar.gz", ".tar.xz", ".tar.zst"]),
    ("import", &[".ova", ".qcow2", ".raw", ".vmdk"]),
];

pub(super) fn upload(world: &World, call: &Call) -> Answered {
    let storage = world.storage(call.arguments.require("storage"))?;
    let content = call.arguments.require("content");
    let Some(size) = call.uploaded else {
        return Err(Refusal::Die("missing temporary file name".to_owned()));
    };
    let filename = normalized(call.arguments.require("filename"));
    let Some((content, _)) = ENDINGS.iter().find(|(kind, endings)| {
        *kind == content && endings.iter().any(|ending| filename.to_lowercase().ends_with(ending))
    }) else {
        return Err(Refusal::parameter("filename", "wrong file extension"));
    };
    let volid = format!("{}:{content}/{filename}", storage.name);
    let Some(file) = world.file_of(&volid) else {
        let kind = super::storage::kind(storage);
        return Err(Refusal::Die(format!("can't upload to storage type '{kind}'")));
    };
    if !storage.content.iter().any(|c| c == content) {
        return Err(Refusal::Die(format!("storage '{}' does not support '{content}' content", storage.name)));
    }
    let node = call.node().to_owned();
    let work = Import { node: node.clone(), volid, content, from: TEMPORARY, file, size };
    Ok(Outcome::Task { kind: "imgcopy", id: String::new(), node, work: Box::new(work), patience: None })
}

/// The last part of a name, without anything odd.
fn normalized(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let last = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned());
    last.unwrap_or_default().chars().map(plain).collect()
}
