//! Prints how fast training steps of a named configuration are, without building the whole worker.
//!
//! ```text
//! cargo run -p cairn-trainer --example train -- [config] [threads] [steps]
//! ```

use cairn_trainer::{bench::Plan, config, engine::Device, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "10m".into());
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let plan = Plan {
        shape: config::named(&name).ok_or("no such configuration")?,
        device: Device::Cpu,
        threads: number(2)?,
        steps: number(5)?,
        length: if name == "tiny" { 128 } else { 512 },
        windows: if name == "tiny" { 16 } else { 4 },
        settings: Settings::default(),
    };
    println!("{}", serde_json::to_string_pretty(&plan.measure()?)?);
    Ok(())
}
