//! What the crate promises, one file per subject.

mod checking;
mod common;
mod compressing;
mod decoding;
mod golden;
mod outer_step;
mod resemblance;
mod sealing;
