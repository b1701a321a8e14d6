//! An engine in another process: whatever a program does, the member's state is whole, and a good one trains as the
//! CPU.

mod fake;
mod fixture;
mod hostile;
mod torch;
