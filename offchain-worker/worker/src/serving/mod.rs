//! A trained model for those who use it: text from it on the command line, and an HTTP server that speaks OpenAI's
//! interface for completions.
//!
//! [`Loaded`] is a model with its tokenizer and where it comes from. [`queue`] is the one thread that computes: it
//! takes jobs, gives each a step in turn, and waits for nobody. [`server`] takes requests from the network and brings
//! answers back; [`request`] and [`answer`] are what is said in both directions. [`follow`] has newer parameters of a
//! run take over.

pub mod answer;
pub mod follow;
mod loaded;
pub mod queue;
pub mod request;
pub mod server;
mod text;

pub use loaded::{Computing, Loaded, Origin, ORIGIN};
pub use text::{Stops, TextStream};
