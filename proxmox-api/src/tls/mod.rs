//! Whom to believe to be the cluster.

mod fingerprint;
mod pinned;

pub use fingerprint::{Fingerprint, FingerprintError};
pub use pinned::FingerprintMismatch;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::Cause;
use pinned::Pinned;

/// How the servers prove who they are. There is no way to check nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates signed by a CA that this system trusts, for nodes with certificates from a public CA.
    SystemRoots,
    /// Certificates signed by a CA in this PEM text, usually the cluster's own: `/etc/pve/pve-root-ca.pem` on every
    /// node. It outlives the renewals of the nodes' certificates, so it is the best choice for a cluster that has no
    /// public certificates. The URL must name the node as its certificate does: node name, FQDN or address.
    Ca(Vec<u8>),
    /// Exactly these certificates. Give one per node, and both the old and the new one around a renewal.
    Fingerprints(Vec<Fingerprint>),
}

/// Why trust could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There is not one usable CA certificate.
    #[error("no usable CA certificate: {0}")]
    NoCa(String),
    /// The list of fingerprints is empty: every server would be refused.
    #[error("the list of fingerprints is empty")]
    NoFingerprint,
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Trust {
    /// No certificate is trusted: for a client that has only plain addresses.
    pub(crate) fn nobody() -> Result<ClientConfig, TrustError> {
        Ok(start()?.1.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let (provider, builder) = start()?;
        let mut config = match self {
            Self::SystemRoots => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
            Self::Ca(pem) => builder.with_root_certificates(roots_from_pem(pem)?).with_no_client_auth(),
            Self::Fingerprints(fingerprints) => {
                if fingerprints.is_empty() {
                    return Err(TrustError::NoFingerprint);
                }
                let verifier = Pinned { fingerprints: fingerprints.clone(), provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
        };
        // PVE speaks HTTP/1.1 only.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The provider is named, not the process-wide default: two crates of one program may have set different ones.
fn start() -> Result<(Arc<CryptoProvider>, ConfigBuilder<ClientConfig, WantsVerifier>), TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Tls(error.to_string()))?;
    Ok((provider, builder))
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(loaded.certs);
    if usable == 0 {
        let problems: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
        return Err(TrustError::NoCa(format!("this system has none {}", problems.join("; "))));
    }
    Ok(roots)
}

fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError::NoCa(error.to_string()))?;
        roots.add(certificate).map_err(|error| TrustError::NoCa(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::NoCa("the PEM text holds none".to_owned()));
    }
    Ok(roots)
}

/// The reason why a connection failed, where it was one of trust.
pub(crate) fn distrust(error: &(dyn StdError + 'static)) -> Option<Cause> {
    let rustls::Error::InvalidCertificate(problem) = find_tls_error(error)? else {
        return None;
    };
    if let CertificateError::Other(other) = problem
        && let Some(mismatch) = other.0.downcast_ref::<FingerprintMismatch>()
    {
        return Some(mismatch.clone().into());
    }
    Some(Cause::Certificate(problem.to_string()))
}

fn find_tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // The source of an I/O error is the source of the error inside it: the inner one itself has to be asked for.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find_tls_error(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_trust_is_an_error() {
        assert!(matches!(Trust::Ca(Vec::new()).client_config(), Err(TrustError::NoCa(_))));
        assert!(matches!(Trust::Ca(b"not PEM".to_vec()).client_config(), Err(TrustError::NoCa(_))));
        assert!(matches!(Trust::Fingerprints(Vec::new()).client_config(), Err(TrustError::NoFingerprint)));
    }
}
