//! Every engine keeps the trait's promises, and the CPU's has the bits of its parts.

mod audits;
mod begun;
mod bits;
mod by_hand;
mod cards;
mod cost;
mod cuda;
mod fixture;
mod muon;
mod play;
mod replay;
mod rounds;
mod tolerance;
mod turns;
mod verbs;
