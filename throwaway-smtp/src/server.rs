use crate::{ServerError, certificates::Certificates, folder::Folder, process::Running};
use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// How long the server, and a mail, may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(10);

/// How many times ports are drawn.
const DRAWS: usize = 5;

/// How a server is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// In the clear, without a login.
    Plain,
    /// In the clear, and by STARTTLS to TLS and the login.
    StartTls,
    /// By TLS, with a login.
    Tls,
}

/// A mail server on loopback ports of its own.
#[derive(Debug)]
pub struct Server {
    certificates: Certificates,
    folder: Folder,
    ports: [u16; 3],
    lost_directory: bool,
    /// `None` while it is stopped.
    running: Option<Running>,
}

impl Server {
    /// Makes and starts one.
    ///
    /// # Errors
    /// [`ServerError::Missing`] where the machine has no chasquid; any other where it does not start.
    pub fn start() -> Result<Self, ServerError> {
        let certificates = Certificates::make()?;
        let folder = Folder::make(&certificates)?;
        let mut server = Self { certificates, folder, ports: [0; 3], lost_directory: false, running: None };
        let mut draws = 1;
        loop {
            server.ports = free_ports().map_err(ServerError::io("free ports"))?;
            match server.start_again() {
                // Somebody else was quicker.
                Err(ServerError::NotUp { log, .. })
                    if log.contains("address already in use") && draws < DRAWS =>
                {
                    draws += 1;
                }
                started => return started.map(|()| server),
            }
        }
    }

    /// The port of this door, on 127.0.0.1.
    pub fn port(&self, door: Door) -> u16 {
        let [plain, starttls, tls] = self.ports;
        match door {
            Door::Plain => plain,
            Door::StartTls => starttls,
            Door::Tls => tls,
        }
    }

    /// The PEM text of the authority that signed the server's certificate, which is for `localhost`.
    pub fn authority(&self) -> &str {
        &self.certificates.authority
    }

    /// The PEM text of an authority that signed nothing: whoever trusts it alone must refuse the server.
    pub fn other_authority(&self) -> &str {
        &self.certificates.other_authority
    }

    /// What was delivered to somebody, as it came, the oldest first.
    pub fn mails(&self, address: &str) -> Vec<Vec<u8>> {
        self.folder.mails(address)
    }

    /// The same, once there are so many and none is under way: the server delivers what it has taken a little later. Blocks.
    ///
    /// # Errors
    /// [`ServerError::NoMail`] where there are fewer after a while, or more.
    pub fn wait_for(&self, address: &str, wanted: usize) -> Result<Vec<Vec<u8>>, ServerError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mails = self.mails(address);
            if mails.len() == wanted && self.folder.is_queue_empty() {
                return Ok(mails);
            }
            if mails.len() > wanted || Instant::now() > until {
                let (found, log) = (mails.len(), self.folder.log());
                return Err(ServerError::NoMail { address: address.to_owned(), found, wanted, log });
            }
            thread::sleep(GLANCE);
        }
    }

    /// All that the server has said.
    pub fn log(&self) -> String {
        self.folder.log()
    }

    /// Puts off the next so many mails after it has seen them (451), as greylisting does that looks at the mail.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn put_off(&self, mails: u32) -> Result<(), ServerError> {
        self.folder.write("put-off", &mails.to_string()).map(drop)
    }

    /// Starts it again without the directory of whom it does not know itself: whether they are there it cannot say for now (451
    /// for the recipient).
    ///
    /// # Errors
    /// [`ServerError::NotUp`].
    pub fn lose_directory(&mut self) -> Result<(), ServerError> {
        self.lost_directory = true;
        self.start_again()
    }

    /// Refuses every mail for what it says (5xx after the mail), or takes it again.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn refuse(&self, is: bool) -> Result<(), ServerError> {
        if is {
            return self.folder.write("refuse", "").map(drop);
        }
        self.folder.remove("refuse");
        Ok(())
    }

    /// Stops the server as a crash does, once it has delivered what it took: otherwise it would deliver that once more. Blocks.
    ///
    /// # Errors
    /// [`ServerError::Io`].
    pub fn stop(&mut self) -> Result<(), ServerError> {
        let until = Instant::now() + PATIENCE;
        while !self.folder.is_queue_empty() && Instant::now() < until {
            thread::sleep(GLANCE);
        }
        self.folder.write("keep", "")?;
        self.running = None;
        Ok(())
    }

    /// Starts it again, with the same mail on the same ports, and waits until it takes connections.
    ///
    /// # Errors
    /// [`ServerError::NotUp`].
    pub fn start_again(&mut self) -> Result<(), ServerError> {
        if self.running.is_some() {
            self.stop()?;
        }
        self.folder.write_settings(self.ports, self.lost_directory)?;
        // What an earlier one said is not this one's.
        self.folder.remove("output");
        self.running = Some(Running::start(&self.folder)?);
        for port in self.ports {
            self.wait_until_up(port)?;
        }
        Ok(())
    }

    fn wait_until_up(&self, port: u16) -> Result<(), ServerError> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = self.folder.log();
            if Instant::now() > until || log.contains("address already in use") {
                return Err(ServerError::NotUp { port, log });
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Otherwise it is the watchdog's to remove.
        if self.running.is_none() {
            self.folder.remove_all();
        }
    }
}

fn free_ports() -> std::io::Result<[u16; 3]> {
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All three are held until all are known.
    let listeners = [listener()?, listener()?, listener()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
