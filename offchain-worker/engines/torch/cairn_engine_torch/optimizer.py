"""AdamW as Cairn's trainer has it: constants rounded to f32 where it rounds them, decay on matrices only."""

from dataclasses import dataclass, fields

import numpy
import torch

from .faults import refuse


@dataclass(frozen=True)
class Constants:
    """The optimizer's numbers that do not change from step to step."""

    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    clip_norm: float

    @staticmethod
    def of(message):
        """From a message."""
        names = {field.name for field in fields(Constants)}
        if not isinstance(message, dict) or set(message) != names:
            raise refuse(f"an optimizer has exactly {sorted(names)}")
        if any(type(number) not in (int, float) or not 0 <= number < 2**64 for number in message.values()):
            raise refuse("a constant of the optimizer is no number from 0 up")
        return Constants(**{name: float(number) for name, number in message.items()})


@dataclass(frozen=True)
class Update:
    """The numbers of one step's update."""

    clip: float
    beta1: float
    beta2: float
    rate: float
    correction: float
    epsilon: float
    kept: float

    @staticmethod
    def of(constants, learning_rate, done, norm):
        """The update after `done` steps, for a gradient of norm `norm`."""
        step, limit = float(done + 1), constants.clip_norm
        return Update(
            clip=limit / norm if norm > limit else 1.0,
            beta1=constants.beta1,
            beta2=constants.beta2,
            rate=learning_rate / (1.0 - constants.beta1**step),
            correction=1.0 / (1.0 - constants.beta2**step),
            epsilon=constants.epsilon,
            kept=1.0 - learning_rate * constants.weight_decay,
        )

    @torch.no_grad()
    def apply(self, weight, first, second, gradient, is_matrix):
        """Changes a tensor's local rows and their moments, and the gradient, in place."""
        gradient.mul_(self.clip)
        first.mul_(self.beta1).add_(gradient, alpha=rest(self.beta1))
        second.mul_(self.beta2).addcmul_(gradient, gradient, value=rest(self.beta2))
        root = (second * self.correction).sqrt_().add_(self.epsilon)
        if is_matrix:
            weight.mul_(self.kept)
        weight.addcdiv_(first, root, value=-self.rate)


def rest(beta):
    """1 − β, in f32."""
    return float(numpy.float32(1) - numpy.float32(beta))
