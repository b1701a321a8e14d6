//! What a member asks to be told of: `--notify` posts it to an address.
//!
//! Nothing of it is part of a worker's work, and nothing of the work waits for it. [`view`] is what the chain says of
//! a member and its coldkey, [`look`] asks for it, [`rule`] decides from two views what happened, [`webhook`] posts.
//! [`watch`] joins them.

pub mod look;
pub mod rule;
pub mod view;
pub mod watch;
pub mod webhook;

pub use rule::{happened, Happening};
pub use view::View;
pub use webhook::{Webhook, WebhookUrl};
