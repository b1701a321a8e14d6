//! The machines of both roles: scene by scene, and against worlds in which everything goes wrong.

mod absence;
mod audits;
mod chain;
mod checkpoints;
mod checks;
mod common;
mod course;
mod endpoints;
mod hidden_row;
mod liveness;
mod measure;
mod measuring;
mod miner;
mod miner_world;
mod parameters;
mod scores;
mod secrets;
mod validator_quiet;
mod validator_world;
