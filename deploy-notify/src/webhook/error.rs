/// A webhook cannot be sent as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookConfigError {
    /// There is no such address. It is not repeated, for it may hold a password.
    #[error("url: it is not the URL of a receiver, such as https://panel.example.net/hooks/machines: {0}")]
    Url(String),
    /// What it says of machines and people would be there for anybody to read.
    #[error("url: a receiver on another machine is spoken to by https only")]
    PlainAcrossNetwork,
    /// There is no usable CA.
    #[error("trust: {0}")]
    Trust(String),
}
