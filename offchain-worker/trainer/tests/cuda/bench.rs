//! Measuring steps on a card: here the figures mean nothing, but all of them are there.

use cairn_trainer::{
    bench::Plan,
    config::Needs,
    cuda::{CudaError, CudaOptions, CudaTrainer},
    engine::Device,
    Settings, TrainerError,
};

use crate::{fake::driver, training::shape};

fn plan(device: Device) -> Plan {
    Plan {
        shape: shape(),
        length: 24,
        windows: 4,
        device,
        threads: 1,
        steps: 3,
        settings: Settings::default(),
    }
}

#[test]
fn steps_on_a_card_are_measured_beside_its_products() {
    driver();
    let card = CudaTrainer::new(&shape(), CudaOptions::default()).unwrap();
    let measured = plan(Device::Cuda(0)).measure().unwrap();
    assert_eq!(Some(measured.computed_on.as_str()), card.card().as_deref());
    assert!(measured.tokens_per_s > 0.0 && measured.peak_flops_per_s > 0.0);
    let share = measured.flops_per_s / measured.peak_flops_per_s;
    assert!((measured.share_of_peak - share).abs() < 1e-9);
    let [first, last] = measured.losses;
    assert!(last < first, "{first} to {last}");
    // Parameters, gradient and moments as floats, and the parameters as bfloat16.
    let least = 18 * Needs::of(&shape(), 1, 1).parameters;
    assert!(measured.buffer_bytes > least, "{}", measured.buffer_bytes);
}

#[test]
fn a_card_that_is_not_there_is_an_error_unless_any_device_will_do() {
    driver();
    let error = plan(Device::Cuda(3)).measure().unwrap_err();
    let no_card = matches!(
        error,
        TrainerError::Cuda(CudaError::NoCard { ordinal: 3, .. })
    );
    assert!(no_card, "{error}");
    let mut on_any = plan(Device::Auto);
    // Heads that no kernel fits.
    on_any.shape.d_model = 24;
    assert_eq!(on_any.measure().unwrap().computed_on, "the CPU");
}
