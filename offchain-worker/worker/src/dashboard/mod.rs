//! The page in the browser that `cairn dashboard` serves.
//!
//! Its files are part of this program and ask for nothing else. They speak to the node by themselves, so this server
//! knows nothing that anybody could take: it tells a browser the node's address, and forbids it to speak to others.

mod node;
mod page;

pub use node::NodeUrl;
pub use page::Page;
