//! `imgcopy`.

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Volume, World, split_volid};

/// Puts an uploaded file where it belongs. One of the same name is replaced.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) node: String,
    pub(crate) volid: String,
    pub(crate) content: &'static str,
    pub(crate) from: &'static str,
    pub(crate) file: String,
    pub(crate) size: u64,
}

impl Work for Import {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        Vec::new()
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let Self { node, volid, content, from, file, size } = self;
        bench.log(format!("starting file import from: {from}"));
        bench.log(format!("target node: {node}"));
        bench.log(format!("target file: {file}"));
        bench.log(format!("file size is: {size}"));
        bench.log(format!("command: cp -- {from} {file}"));
        let format =
            if *content == "iso" { "iso" } else { file.rsplit_once('.').map_or("raw", |(_, end)| end) };
        let created = bench.world.unix();
        let (storage, name) = split_volid(volid);
        let storage = attempt!(bench.world.storage_mut(storage));
        let place = (storage.place(node), name.to_owned());
        storage.volumes.remove(&place);
        let volume = Volume { content, ..Volume::image(0, *size, format, created) };
        storage.volumes.insert(place, volume);
        bench.log("finished file import successfully");
        Step::Done(Value::Null)
    }
}
