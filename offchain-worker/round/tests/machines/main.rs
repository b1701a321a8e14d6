//! The machines of both roles: scene by scene, and with views of which none has to follow from the last.

mod absence;
mod ahead;
mod audits;
mod checkpoints;
mod checks;
mod common;
mod course;
mod drain;
mod endpoints;
mod heard;
mod hidden_row;
mod liveness;
mod measure;
mod measuring;
mod miner;
mod miner_views;
mod overlap;
mod parameters;
mod scores;
mod secrets;
mod validator_views;
mod views;
