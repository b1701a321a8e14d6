//! The repository's own rules, held against what is there.
//!
//! `docs/architecture.md` states them: which crate builds on which ([`arrows`]), which words are gone ([`words`]),
//! which crates do no input or output ([`purity`]). The page is read, so page and code cannot part. Beside them:
//! pages of decisions are complete ([`decisions`]), what runs on chain denies the same lints ([`strict`]), and one
//! version is not stated in two ways ([`versions`]). What rules and dashboards ask for is shown ([`observed`]),
//! and stock clients try all that our runtime APIs have ([`asked`]). What pages say to make can be made ([`targets`]).
//!
//! A guard is a function from texts to a list of faults, each of them one line that names the place. An empty list
//! is what everybody wants.

pub mod arrows;
pub mod asked;
pub mod decisions;
pub mod observed;
pub mod page;
pub mod purity;
pub mod repository;
pub mod strict;
pub mod targets;
pub mod versions;
pub mod words;
