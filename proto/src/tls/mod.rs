//! Who a process is to the others: mutual TLS with certificates from files.
//!
//! [`files`] reads them, [`identity`] keeps what was read last and notices when they are replaced,
//! `connector` makes a client's connections. Serving is in `service`.

pub mod files;
pub mod identity;
pub(crate) mod connector;
