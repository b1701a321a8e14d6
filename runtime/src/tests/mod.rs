//! What must hold of the runtime as a whole. `chain` makes blocks, `play` plays on them at random.

mod audits;
mod authorities;
mod bytes;
mod chain;
mod dissolution;
mod genesis;
mod governance;
mod limits;
mod money;
mod pages;
mod play;
mod proxies;
mod readers;
mod recovery;
mod release;
