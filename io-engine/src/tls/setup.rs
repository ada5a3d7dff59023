//! Which roots a client trusts, and how a server proves its identity.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// The certificate authorities that a client trusts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(pub(super) Arc<ClientConfig>);

/// A server's certificate chain and private key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerKey(pub(super) Arc<ServerConfig>);

/// Why there is nothing to set up TLS with.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A text that should hold certificates in PEM holds none, or a broken one.
    #[error("no certificate in PEM where one was expected")]
    NoCertificate,
    /// A text that should hold a private key in PEM holds none.
    #[error("no private key in PEM where one was expected")]
    NoKey,
    /// rustls does not accept it.
    #[error("unusable for TLS")]
    Unusable(#[from] rustls::Error),
}

impl Trust {
    /// What `file` holds and the files in `dirs`; where neither is given, what the operating system trusts (or the file that
    /// `SSL_CERT_FILE` or the folder that `SSL_CERT_DIR` names). Mozilla's list where there is none of these; and beside those the
    /// certificates in each PEM text of `extra`.
    ///
    /// Reads files: some milliseconds.
    ///
    /// # Errors
    /// When a text of `extra` holds no certificate.
    pub fn system<P: AsRef<[u8]>>(file: Option<&Path>, dirs: &[PathBuf], extra: &[P]) -> Result<Self, TlsSetupError> {
        let found = if file.is_none() && dirs.is_empty() {
            vec![rustls_native_certs::load_native_certs()]
        } else {
            let places = file.map(|file| (Some(file), None)).into_iter().chain(dirs.iter().map(|dir| (None, Some(&**dir))));
            places.map(|(file, dir)| rustls_native_certs::load_certs_from_paths(file, dir)).collect()
        };
        let mut roots = RootCertStore::empty();
        for found in found {
            for error in &found.errors {
                tracing::warn!(%error, "some certificates of authorities cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self::with(roots, extra)
    }

    /// The certificates in each PEM text of `roots` and nothing else.
    ///
    /// # Errors
    /// When one of them holds no certificate.
    pub fn only<P: AsRef<[u8]>>(roots: &[P]) -> Result<Self, TlsSetupError> {
        Self::with(RootCertStore::empty(), roots)
    }

    fn with<P: AsRef<[u8]>>(mut roots: RootCertStore, extra: &[P]) -> Result<Self, TlsSetupError> {
        for pem in extra {
            for certificate in certificates(pem.as_ref())? {
                roots.add(certificate)?;
            }
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl ServerKey {
    /// From a certificate chain, the server's own first, and its private key (PKCS #8, PKCS #1 or SEC1), both in PEM.
    ///
    /// # Errors
    /// When one of them is missing, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsSetupError::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates(chain)?, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsSetupError::NoCertificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_an_error() {
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Trust::only(&[pem]), Err(TlsSetupError::NoCertificate)), "{pem:?}");
        }
        assert!(matches!(ServerKey::from_pem(b"", b""), Err(TlsSetupError::NoKey)));
    }
}
