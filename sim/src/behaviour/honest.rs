//! Nothing otherwise.

use super::Behaviour;

/// A member that does what its machine says.
pub struct Honest;

impl Behaviour for Honest {}
