//! A server's folder: its settings, its people, and what is delivered to them.

use crate::{DOMAIN, PASSWORD, PEOPLE, ServerError, certificates::Certificates, process};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// How the certificate, and the server, is called.
const HOST: &str = "localhost";

#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it. It is the watchdog's to remove.
    pub(crate) fn make(certificates: &Certificates) -> Result<Self, ServerError> {
        let made = tempfile::Builder::new().prefix("throwaway-smtp-").tempdir();
        let folder = Self(made.map_err(ServerError::io("a temporary folder"))?.keep());
        let host = format!("etc/certs/{HOST}");
        folder.write(&format!("{host}/fullchain.pem"), &certificates.certificate)?;
        folder.write(&format!("{host}/privkey.pem"), &certificates.key)?;
        folder.write("deliver.sh", include_str!("deliver.sh"))?;
        folder.write_hook("post-data", include_str!("post-data.sh"))?;
        for person in PEOPLE {
            folder.add_person(person)?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Its ports: in the clear, by STARTTLS, by TLS. With `lost_directory`, whom it does not know itself it asks a program about
    /// that is not there.
    pub(crate) fn write_settings(&self, ports: [u16; 3], lost_directory: bool) -> Result<(), ServerError> {
        let folder = self.0.display();
        let [plain, starttls, tls] = ports;
        let text = format!(
            "hostname: \"{HOST}\"\n\
             smtp_address: \"127.0.0.1:{plain}\"\n\
             submission_address: \"127.0.0.1:{starttls}\"\n\
             submission_over_tls_address: \"127.0.0.1:{tls}\"\n\
             data_dir: \"{folder}/data\"\n\
             mail_log_path: \"{folder}/log\"\n\
             mail_delivery_agent_bin: \"/bin/sh\"\n\
             mail_delivery_agent_args: \"{folder}/deliver.sh\"\n\
             mail_delivery_agent_args: \"{folder}\"\n\
             mail_delivery_agent_args: \"%to%\"\n\
             dovecot_auth: {lost_directory}\n\
             dovecot_userdb_path: \"{folder}/nothing\"\n\
             dovecot_client_path: \"{folder}/nothing\"\n"
        );
        self.write("etc/chasquid.conf", &text).map(drop)
    }

    pub(crate) fn etc(&self) -> PathBuf {
        self.0.join("etc")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServerError> {
        let path = self.0.join(name);
        let folder = path.parent().unwrap_or(&self.0);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(ServerError::io(path.display().to_string()))?;
        Ok(path)
    }

    pub(crate) fn remove(&self, name: &str) {
        // It is enough that it is gone.
        let _ = fs::remove_file(self.0.join(name));
    }

    pub(crate) fn remove_all(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }

    fn write_hook(&self, name: &str, script: &str) -> Result<(), ServerError> {
        let folder = self.0.display().to_string();
        let path = self.write(&format!("etc/hooks/{name}"), &script.replace("FOLDER", &folder))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(ServerError::io(path.display().to_string()))
    }

    fn add_person(&self, person: &str) -> Result<(), ServerError> {
        let domain = self.etc().join("domains").join(DOMAIN);
        fs::create_dir_all(&domain).map_err(ServerError::io(domain.display().to_string()))?;
        let etc = format!("-C={}", self.etc().display());
        let password = format!("--password={PASSWORD}");
        process::run("chasquid-util", &[&etc, "user-add", person, &password])
    }

    /// The files of somebody's maildir, as they came.
    pub(crate) fn mails(&self, address: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.0.join("mail").join(address).join("new")).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.iter().filter_map(|file| fs::read(file).ok()).collect()
    }

    /// Whether nothing that was taken is still to be delivered, or to be noted as such.
    pub(crate) fn is_queue_empty(&self) -> bool {
        // There is no such folder before the server ran.
        fs::read_dir(self.0.join("data/queue")).map_or(true, |mut entries| entries.next().is_none())
    }

    /// What the server said, to whichever file.
    pub(crate) fn log(&self) -> String {
        ["output", "log"].map(|name| fs::read_to_string(self.0.join(name)).unwrap_or_default()).concat()
    }
}
