use crate::{ServerError, folder::Folder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};

/// The certificates of a server that speaks TLS: one for `localhost`, and for no address, signed by an authority of its own.
/// A client that connects to 127.0.0.1 by that name finds everything right; one that calls it `127.0.0.1` does not.
#[derive(Debug)]
pub struct Certificates {
    authority: PathBuf,
    other_authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    /// The PEM file of the authority that signed the server's certificate.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The PEM file of an authority that signed nothing: whoever trusts it alone must refuse the server.
    pub fn other_authority(&self) -> &Path {
        &self.other_authority
    }

    pub(crate) fn make(folder: &Folder) -> Result<Self, ServerError> {
        let failed =
            |error: rcgen::Error| ServerError::Unusable(format!("no certificate can be made: {error}"));
        let authority = issuer("throwaway authority").map_err(failed)?;
        let other = issuer("another authority").map_err(failed)?;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.signed_by(&key, &authority))
            .map_err(failed)?;
        Ok(Self {
            authority: folder.write("ca.pem", &authority.pem())?,
            other_authority: folder.write("other-ca.pem", &other.pem())?,
            certificate: folder.write("server.pem", &certificate.pem())?,
            key: folder.write("server.key", &key.serialize_pem())?,
        })
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [("ssl", "on"), ("ssl_cert_file", text(&self.certificate)), ("ssl_key_file", text(&self.key))]
    }
}

/// The folder was looked at: its path is plain.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn issuer(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}
