//! The page in the browser that `cairn dashboard` serves.
//!
//! Its files are part of this program and ask for nothing else. They speak to the node by themselves, so this server
//! knows nothing that anybody could take: it tells a browser the node's address, and forbids it to speak to others.
//! With a light client in the page, that speaks to the chain's peers instead, and checks what they bring.

mod light;
mod node;
mod page;

pub use light::{Light, SMOLDOT};
pub use node::NodeUrl;
pub use page::Page;
