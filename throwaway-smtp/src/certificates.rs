use crate::ServerError;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate for `localhost`, and for no address, signed by an authority of its own; and an authority that signed nothing.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) other_authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, ServerError> {
        Self::try_make().map_err(|error| ServerError::Certificate(error.to_string()))
    }

    fn try_make() -> Result<Self, rcgen::Error> {
        let authority = issuer("throwaway authority")?;
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["localhost".to_owned()])?;
        Ok(Self {
            certificate: params.signed_by(&key, &authority)?.pem(),
            key: key.serialize_pem(),
            authority: authority.pem(),
            other_authority: issuer("another authority")?.pem(),
        })
    }
}

fn issuer(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}
