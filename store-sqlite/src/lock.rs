use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The right to be the one process on a database file, as an advisory lock on a file beside it.
///
/// The lock belongs to the open file, so the operating system gives it back however the process ends. The file itself
/// stays: deleting it would let two processes lock two files of the same name.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

/// The lock was not taken.
#[derive(Debug)]
pub(crate) enum LockRefused {
    /// Another process has it.
    Held {
        /// The lock file.
        lock: PathBuf,
        /// What that process wrote about itself.
        holder: String,
    },
    /// The lock file could not be made or locked.
    Io(PathBuf, io::Error),
}

impl LockFile {
    /// Takes the lock for `database`.
    pub(crate) fn take(database: &Path) -> Result<Self, LockRefused> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let failed = |error| LockRefused::Io(lock.clone(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the error's text; the holder may be writing it at this moment.
                let _ = file.read_to_string(&mut holder);
                return Err(LockRefused::Held { lock, holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
