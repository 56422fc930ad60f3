use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Fingerprint;

/// The server showed another certificate than the pinned ones.
///
/// PVE replaces the certificate of a node by itself before it expires, so this is not necessarily an attack, but only
/// a person can tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's certificate has the fingerprint {got}, expected {}; compare it with `pvenode cert info` on the node \
     itself and correct the pin if it was renewed, or trust the cluster's CA (/etc/pve/pve-root-ca.pem), which \
     renewals do not change",
    list(expected)
)]
pub struct FingerprintMismatch {
    /// The fingerprints that would have been accepted.
    pub expected: Vec<Fingerprint>,
    /// The fingerprint of the certificate that was shown.
    pub got: Fingerprint,
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// Accepts exactly the certificates with the given fingerprints, whoever signed them and for whatever name.
///
/// The signature of the handshake is still checked: showing a certificate proves nothing, having its key does.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let got = Fingerprint::of(end_entity);
        if self.fingerprints.contains(&got) {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = FingerprintMismatch { expected: self.fingerprints.clone(), got };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
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
