//! The contract of Media Lab: what other teams need to call us.
//!
//! Read the `.proto` files first (`proto/medialab/…`): they document every call, message and
//! field. Then [`client`], which adds deadlines, retries and request ids to the generated clients,
//! and [`reason`], the codes that callers branch on; [`tls`] is how a caller proves who it is. The
//! module `service` (behind the feature of that name) is what our own four processes share.

/// `medialab.billing.v1`: prepaid credit.
pub mod billing {
    /// Version 1.
    #[expect(
        clippy::allow_attributes_without_reason,
        clippy::large_enum_variant,
        clippy::too_many_lines,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("medialab.billing.v1");
    }
}

/// `medialab.payments.v1`: payment links.
pub mod payments {
    /// Version 1.
    #[expect(
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("medialab.payments.v1");
    }
}

/// `medialab.media.v1`: jobs and pictures.
pub mod media {
    /// Version 1.
    #[expect(
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("medialab.media.v1");
    }
}

pub mod client;
pub mod reason;
pub mod request_id;
#[cfg(feature = "service")]
pub mod service;
pub mod tls;

/// The compiled contract, as server reflection hands it out.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
