//! How connections are encrypted.

use crate::SettingsError;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use std::{path::Path, sync::Arc};
use tokio_postgres::config::SslMode;

/// What is asked of a connection.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Nothing.
    Off,
    /// Encrypted where the server can.
    Preferred(Arc<ClientConfig>),
    /// Encrypted.
    Required(Arc<ClientConfig>),
}

impl Tls {
    /// What libpq's `sslmode` and `sslrootcert` ask for.
    pub(crate) fn of(mode: Option<&str>, ca: Option<&Path>) -> Result<Self, SettingsError> {
        if let Some(path) = ca.filter(|_| mode != Some("verify-full")) {
            // libpq would check the CA with "require"; to leave it unchecked would be a surprise of the bad kind.
            let expected = "given together with sslmode=verify-full, which alone looks at certificates";
            return Err(SettingsError::new("sslrootcert", path.display(), expected));
        }
        match mode {
            Some("disable") => Ok(Self::Off),
            None | Some("prefer") => Ok(Self::Preferred(Arc::new(unverified()?))),
            Some("require") => Ok(Self::Required(Arc::new(unverified()?))),
            Some("verify-full") => Ok(Self::Required(Arc::new(verified(ca)?))),
            Some(other) => {
                let expected = "one of \"disable\", \"prefer\", \"require\" and \"verify-full\"";
                Err(SettingsError::new("sslmode", other, expected))
            }
        }
    }

    pub(crate) fn mode(&self) -> SslMode {
        match self {
            Self::Off => SslMode::Disable,
            Self::Preferred(_) => SslMode::Prefer,
            Self::Required(_) => SslMode::Require,
        }
    }
}

/// Certificate and host name are verified.
fn verified(ca: Option<&Path>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let wrong = |why: String| {
            let expected = format!("a readable file of CA certificates in PEM ({why})");
            SettingsError::new("sslrootcert", path.display(), expected)
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    } else {
        // Single certificates of a system's store may be odd; what cannot be read is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let value = ca.map(|path| path.display().to_string()).unwrap_or_default();
        let expected = "a file with CA certificates in PEM (there is none, nor has the system any)";
        return Err(SettingsError::new("sslrootcert", value, expected));
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// Encrypted with whoever answers, as libpq's `require` is.
fn unverified() -> Result<ClientConfig, SettingsError> {
    let verifier = Arc::new(Anybody { provider: ring::default_provider() });
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The provider is named, because an embedder's other crates may bring another one.
fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, SettingsError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::new("sslmode", "", error.to_string()))
}

/// Takes every certificate, but still wants it to be the key's.
#[derive(Debug)]
struct Anybody {
    provider: CryptoProvider,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
