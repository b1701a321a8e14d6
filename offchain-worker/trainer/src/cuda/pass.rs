//! The forward and the backward pass as launches, in order.
//!
//! What is bfloat16: the parameters as the products see them, what goes into products and comes out of them. What
//! is float: the parameters themselves, the residual stream and its gradient, the logits, statistics of rows, and
//! the parameters' gradients. Gradients are added to what is there, so that a batch may be computed in parts.

use half::bf16;

use super::{
    device::{Buffer, Device, Ptr},
    error::CudaError,
    gemm::{Form, Out, Sizes},
    ops::Heads,
    plan::{logit_rows, Activations, Batch, Buffers},
};
use crate::model::{Layer, Model};

/// A model's parameters on the card, and their gradient.
pub struct Parameters {
    /// The parameters.
    pub values: Buffer<f32>,
    /// The same, rounded.
    pub rounded: Buffer<bf16>,
    /// Their gradient.
    pub gradient: Buffer<f32>,
}

/// A pass over one batch.
pub struct Pass<'a> {
    pub device: &'a Device,
    pub model: &'a Model,
    pub parameters: &'a Parameters,
    pub buffers: &'a Buffers,
    pub batch: Batch,
}

type Done = Result<(), CudaError>;

impl Pass<'_> {
    /// Runs the layers, and leaves the normalised residual stream in `last`. To train, keeps what the backward
    /// pass needs; to measure, all layers use the first one's buffers.
    pub fn forward(&self, training: bool) -> Done {
        let Buffers {
            inputs,
            layers,
            branch,
            tokens,
            ..
        } = self.buffers;
        let (device, model, rows) = (self.device, self.model, self.batch.rows());
        let (width, last) = (model.width, model.layers.len());
        // Measuring, the streams before and after a layer change places.
        let input = |i: usize| if training { &inputs[i] } else { &inputs[i % 2] };
        let table = self.parameters.values.at(model.embedding.start);
        device.embedding_forward(input(0).ptr(), table, tokens.ptr(), rows, width)?;
        for (i, layer) in model.layers.iter().enumerate() {
            let acts = &layers[self.slot(i, training)];
            if i == 0 {
                self.norm(
                    layer.attention_norm.start,
                    &acts.attended,
                    &acts.attended_rates,
                    input(0),
                )?;
            }
            self.layer(layer, acts, input(i), branch)?;
            self.linear(branch.ptr(), &acts.hidden, &layer.down, model.ffn)?;
            let (normed, rates, weight) = match model.layers.get(i + 1) {
                Some(next) => {
                    let acts = &layers[self.slot(i + 1, training)];
                    (&acts.attended, &acts.attended_rates, &next.attention_norm)
                }
                None => (&self.buffers.last, &self.buffers.last_rates, &model.norm),
            };
            let weight = self.parameters.values.at(weight.start);
            let stream = if i + 1 == last {
                &inputs[last]
            } else {
                input(i + 1)
            };
            device.residual_norm_forward(
                stream.ptr(),
                normed.ptr(),
                rates.ptr(),
                acts.middle.ptr(),
                branch.ptr(),
                weight,
                rows,
                width,
            )?;
        }
        Ok(())
    }

    /// Which activations layer `i` uses.
    fn slot(&self, i: usize, training: bool) -> usize {
        if training && !self.batch.recompute {
            i
        } else {
            0
        }
    }

    /// `normed` = the normalisation of `input`.
    fn norm(
        &self,
        at: usize,
        normed: &Buffer<bf16>,
        rates: &Buffer<f32>,
        input: &Buffer<f32>,
    ) -> Done {
        self.device.residual_norm_forward(
            Ptr::NULL,
            normed.ptr(),
            rates.ptr(),
            input.ptr(),
            Ptr::NULL,
            self.parameters.values.at(at),
            self.batch.rows(),
            self.model.width,
        )
    }

    /// A layer from its normalised input to the feed-forward unit's output before its projection. What attention
    /// adds to the stream passes through `branch`.
    fn layer(
        &self,
        layer: &Layer,
        acts: &Activations,
        input: &Buffer<f32>,
        branch: &Buffer<bf16>,
    ) -> Done {
        let (device, model, windows) = (self.device, self.model, self.batch.windows);
        let (rows, width, heads) = (self.batch.rows(), model.width, self.heads());
        let Buffers { cosines, sines, .. } = self.buffers;
        self.linear(acts.qkv.ptr(), &acts.attended, &layer.qkv, width)?;
        device.rotate(
            acts.qkv.ptr(),
            cosines.ptr(),
            sines.ptr(),
            &heads,
            windows,
            1.0,
        )?;
        device.attention_forward(
            acts.mixed.ptr(),
            acts.lse.ptr(),
            acts.qkv.ptr(),
            &heads,
            windows,
        )?;
        self.linear(branch.ptr(), &acts.mixed, &layer.output, width)?;
        device.residual_norm_forward(
            acts.middle.ptr(),
            acts.fed.ptr(),
            acts.fed_rates.ptr(),
            input.ptr(),
            branch.ptr(),
            self.parameters.values.at(layer.feed_norm.start),
            rows,
            width,
        )?;
        self.linear(acts.gate_up.ptr(), &acts.fed, &layer.gate_up, width)?;
        device.swiglu_forward(acts.hidden.ptr(), acts.gate_up.ptr(), rows, model.ffn)
    }

    /// The cross-entropy of each token, into `losses`.
    pub fn losses(&self) -> Done {
        self.head(None)
    }

    /// The same, and `share` times the gradient of their sum, added to the parameters' gradients.
    pub fn backward(&self, share: f32) -> Done {
        let (device, model, rows) = (self.device, self.model, self.batch.rows());
        let Buffers {
            inputs,
            layers,
            dstream,
            tokens,
            order,
            starts,
            buckets,
            last_rates,
            ..
        } = self.buffers;
        self.head(Some(share))?;
        device.clear(dstream)?;
        self.norm_backward(model.norm.start, &inputs[model.layers.len()], last_rates)?;
        for (i, layer) in model.layers.iter().enumerate().rev() {
            let acts = &layers[self.slot(i, true)];
            if self.batch.recompute {
                self.norm(
                    layer.attention_norm.start,
                    &acts.attended,
                    &acts.attended_rates,
                    &inputs[i],
                )?;
                // `branch` holds the gradient of the stream; `dblock` is free.
                self.layer(layer, acts, &inputs[i], &self.buffers.dblock)?;
            }
            self.feed_backward(layer, acts)?;
            self.attention_backward(layer, acts, &inputs[i])?;
        }
        let table = self.parameters.gradient.at(model.embedding.start);
        device.embedding_backward(
            table,
            dstream.ptr(),
            tokens.ptr(),
            order.ptr(),
            starts.ptr(),
            buckets.ptr(),
            rows,
            model.width,
        )
    }

    /// The head, some rows at a time; with a share, the gradient of its input into `dblock`.
    fn head(&self, share: Option<f32>) -> Done {
        let (device, model, rows) = (self.device, self.model, self.batch.rows());
        let (width, vocabulary) = (model.width, model.vocabulary);
        let Buffers {
            last,
            targets,
            logits,
            dlogits,
            losses,
            dblock,
            ..
        } = self.buffers;
        let weight = self.parameters.rounded.at(model.head.start);
        for start in (0..rows).step_by(logit_rows(model, rows)) {
            let m = logit_rows(model, rows).min(rows - start);
            let x = last.at(start * width);
            let sizes = Sizes {
                m,
                n: vocabulary,
                k: width,
            };
            let out = Out::Floats(logits.ptr());
            device
                .gemm
                .product(Form::RightTransposed, sizes, x, weight, out)?;
            let to = share.map_or(Ptr::NULL, |_| dlogits.ptr());
            device.cross_entropy(
                losses.at(start),
                to,
                logits.ptr(),
                targets.at(start),
                m,
                vocabulary,
                share.unwrap_or(0.0),
            )?;
            if share.is_some() {
                let sizes = Sizes {
                    m,
                    n: width,
                    k: vocabulary,
                };
                let out = Out::Rounded(dblock.at(start * width));
                device
                    .gemm
                    .product(Form::Plain, sizes, dlogits.ptr(), weight, out)?;
                let sizes = Sizes {
                    m: vocabulary,
                    n: width,
                    k: m,
                };
                let out = Out::Added(self.parameters.gradient.at(model.head.start));
                device
                    .gemm
                    .product(Form::LeftTransposed, sizes, dlogits.ptr(), x, out)?;
            }
        }
        Ok(())
    }

    /// Back through the feed-forward unit: adds to the gradient of the stream.
    fn feed_backward(&self, layer: &Layer, acts: &Activations) -> Done {
        let (model, rows) = (self.model, self.batch.rows());
        let Buffers {
            branch,
            dhidden,
            dblock,
            ..
        } = self.buffers;
        self.linear_backward(
            dhidden.ptr(),
            branch.ptr(),
            &acts.hidden,
            &layer.down,
            model.ffn,
        )?;
        self.device
            .swiglu_backward(acts.gate_up.ptr(), dhidden.ptr(), rows, model.ffn)?;
        self.linear_backward(
            dblock.ptr(),
            acts.gate_up.ptr(),
            &acts.fed,
            &layer.gate_up,
            model.width,
        )?;
        self.norm_backward(layer.feed_norm.start, &acts.middle, &acts.fed_rates)
    }

    /// Back through attention: adds to the gradient of the stream.
    fn attention_backward(&self, layer: &Layer, acts: &Activations, input: &Buffer<f32>) -> Done {
        let (device, model, windows) = (self.device, self.model, self.batch.windows);
        let heads = self.heads();
        let Buffers {
            branch,
            dblock,
            dqkv,
            delta,
            cosines,
            sines,
            ..
        } = self.buffers;
        self.linear_backward(
            dblock.ptr(),
            branch.ptr(),
            &acts.mixed,
            &layer.output,
            model.width,
        )?;
        device.attention_backward(
            dqkv.ptr(),
            dblock.ptr(),
            delta.ptr(),
            acts.mixed.ptr(),
            acts.lse.ptr(),
            acts.qkv.ptr(),
            &heads,
            windows,
        )?;
        device.rotate(
            dqkv.ptr(),
            cosines.ptr(),
            sines.ptr(),
            &heads,
            windows,
            -1.0,
        )?;
        self.linear_backward(
            dblock.ptr(),
            dqkv.ptr(),
            &acts.attended,
            &layer.qkv,
            model.width,
        )?;
        self.norm_backward(layer.attention_norm.start, input, &acts.attended_rates)
    }

    /// `y` = `x`·Wᵀ with rows of `inner` numbers in `x` and the weight at `at`.
    fn linear(
        &self,
        y: Ptr<bf16>,
        x: &Buffer<bf16>,
        at: &std::ops::Range<usize>,
        inner: usize,
    ) -> Done {
        let sizes = Sizes {
            m: self.batch.rows(),
            n: at.len() / inner,
            k: inner,
        };
        let weight = self.parameters.rounded.at(at.start);
        self.device.gemm.product(
            Form::RightTransposed,
            sizes,
            x.ptr(),
            weight,
            Out::Rounded(y),
        )
    }

    /// Back through [`Pass::linear`]: `dx`, and the weight's gradient.
    fn linear_backward(
        &self,
        dx: Ptr<bf16>,
        dy: Ptr<bf16>,
        x: &Buffer<bf16>,
        at: &std::ops::Range<usize>,
        inner: usize,
    ) -> Done {
        let (rows, outer) = (self.batch.rows(), at.len() / inner);
        let gemm = &self.device.gemm;
        let sizes = Sizes {
            m: outer,
            n: inner,
            k: rows,
        };
        let out = Out::Added(self.parameters.gradient.at(at.start));
        gemm.product(Form::LeftTransposed, sizes, dy, x.ptr(), out)?;
        let sizes = Sizes {
            m: rows,
            n: inner,
            k: outer,
        };
        let weight = self.parameters.rounded.at(at.start);
        gemm.product(Form::Plain, sizes, dy, weight, Out::Rounded(dx))
    }

    /// Back through the norm at `at` of `stream`, from `dblock`: adds to the gradient of the stream, whose
    /// rounded copy goes to `branch`.
    fn norm_backward(&self, at: usize, stream: &Buffer<f32>, rates: &Buffer<f32>) -> Done {
        let Buffers {
            dstream,
            branch,
            partial,
            dblock,
            ..
        } = self.buffers;
        self.device.norm_backward(
            dstream.ptr(),
            branch.ptr(),
            partial.ptr(),
            self.parameters.gradient.at(at),
            dblock.ptr(),
            stream.ptr(),
            self.parameters.values.at(at),
            rates.ptr(),
            self.batch.rows(),
            self.model.width,
        )
    }

    fn heads(&self) -> Heads {
        Heads::of(self.model, self.batch.length)
    }
}
