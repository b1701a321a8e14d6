//! Takes the place of the crate `str0m-openssl`, which compiles OpenSSL so that `litep2p` can speak WebRTC.
//!
//! Cairn's node does not listen on WebRTC addresses and says so when it is given one (`node/src/service.rs`). This
//! provider is the second line: it makes no certificate and opens no session, so no connection gets as far as a
//! cipher or a checksum.

use std::time::Instant;

use str0m_proto::crypto::{
    dtls::{DtlsCert, DtlsInstance, DtlsProvider},
    CryptoError, CryptoProvider, DtlsVersion, Sha1HmacProvider, Sha256Provider, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

/// The provider that refuses.
pub fn default_provider() -> CryptoProvider {
    CryptoProvider {
        srtp_provider: &NoWebRtc,
        sha1_hmac_provider: &NoWebRtc,
        sha256_provider: &NoWebRtc,
        dtls_provider: &NoWebRtc,
    }
}

#[derive(Debug)]
struct NoWebRtc;

/// What is said where a session is asked for.
const REFUSAL: &str = "this build does not speak WebRTC; use a tcp or a ws address";

impl DtlsProvider for NoWebRtc {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        None
    }

    fn new_dtls(
        &self,
        _: &DtlsCert,
        _: Instant,
        _: DtlsVersion,
        _: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        Err(CryptoError::Other(REFUSAL.into()))
    }
}

// What follows is asked for by sessions only, and there are none.

impl SrtpProvider for NoWebRtc {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        unreachable!("{REFUSAL}")
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        unreachable!("{REFUSAL}")
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        unreachable!("{REFUSAL}")
    }

    fn srtp_aes_128_ecb_round(&self, _: &[u8], _: &[u8], _: &mut [u8]) {
        unreachable!("{REFUSAL}")
    }

    fn srtp_aes_256_ecb_round(&self, _: &[u8], _: &[u8], _: &mut [u8]) {
        unreachable!("{REFUSAL}")
    }
}

impl Sha1HmacProvider for NoWebRtc {
    fn sha1_hmac(&self, _: &[u8], _: &[&[u8]]) -> [u8; 20] {
        unreachable!("{REFUSAL}")
    }
}

impl Sha256Provider for NoWebRtc {
    fn sha256(&self, _: &[u8]) -> [u8; 32] {
        unreachable!("{REFUSAL}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_certificate_and_no_session() {
        let provider = default_provider();
        assert!(provider.dtls_provider.generate_certificate().is_none());
        let certificate = DtlsCert {
            certificate: Vec::new(),
            private_key: Vec::new(),
        };
        let refused = provider.dtls_provider.new_dtls(
            &certificate,
            Instant::now(),
            DtlsVersion::default(),
            None,
        );
        let refusal = refused.err().map(|error| error.to_string());
        assert!(refusal.is_some_and(|text| text.contains("does not speak WebRTC")));
    }
}
