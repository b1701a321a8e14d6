//! All kernels against the rule, and `matrixmultiply` as a witness.

use proptest::prelude::*;

use super::*;
use crate::cpu::{has_avx512, Simd};

/// Numbers in −1..1 that need all their bits.
fn numbers(n: usize, mut state: u64) -> Vec<f32> {
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// The rule of the module's front page, word by word.
fn by_the_rule(a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32, k: usize, c: f32) -> f32 {
    let block =
        |start: usize| (start..k.min(start + 256)).fold(0f32, |sum, i| a(i).mul_add(b(i), sum));
    (0..k)
        .step_by(256)
        .map(block)
        .fold(c, |sum, block| sum + block)
}

/// The instruction sets that this CPU has.
fn instruction_sets() -> Vec<Simd> {
    let mut sets = vec![Simd::Avx2];
    if has_avx512() {
        sets.push(Simd::Avx512);
    }
    sets
}

/// Two factors, each lying as it is or transposed, and what is added to.
struct Case {
    sizes: (usize, usize, usize),
    turned: (bool, bool),
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Case {
    fn new(sizes: (usize, usize, usize), turned: (bool, bool)) -> Case {
        let (m, n, k) = sizes;
        Case {
            sizes,
            turned,
            a: numbers(m * k, 1),
            b: numbers(k * n, 2),
            c: numbers(m * n, 3),
        }
    }

    fn left(&self) -> Matrix<'_> {
        let (m, _, k) = self.sizes;
        match self.turned.0 {
            true => Matrix::strided(&self.a, k, m, m).t(),
            false => Matrix::strided(&self.a, m, k, k),
        }
    }

    fn right(&self) -> Matrix<'_> {
        let (_, n, k) = self.sizes;
        match self.turned.1 {
            true => Matrix::strided(&self.b, n, k, k).t(),
            false => Matrix::strided(&self.b, k, n, n),
        }
    }

    fn first(&self, place: usize, start: Start) -> f32 {
        match start {
            Start::Zero => 0.0,
            Start::Present => self.c[place],
            Start::From(numbers) => numbers[place],
        }
    }

    fn check(&self, what: &str, start: Start, ours: &[f32]) {
        let (m, n, k) = self.sizes;
        let (ta, tb) = self.turned;
        for (place, ours) in ours.iter().enumerate() {
            let (i, j) = (place / n, place % n);
            let at = |p| self.a[if ta { p * m + i } else { i * k + p }];
            let bt = |p| self.b[if tb { j * k + p } else { p * n + j }];
            let expected = by_the_rule(at, bt, k, self.first(place, start));
            assert_eq!(
                ours.to_bits(),
                expected.to_bits(),
                "{what}: {m}×{n}×{k} {ta} {tb} at {place}"
            );
        }
    }

    /// What the kernels of an instruction set compute.
    fn kernels(&self, simd: Simd, start: Start) -> Vec<f32> {
        let (mut right, mut c) = (Right::default(), self.c.clone());
        let kernels = Kernels::of(simd);
        right.pack_here(self.right(), kernels);
        right.product_by(kernels, self.left(), &mut c, self.sizes.1, start);
        c
    }

    fn threads(&self, threads: usize, start: Start) -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let mut c = self.c.clone();
        pool.unwrap()
            .install(|| parallel_product(self.left(), self.right(), &mut c, start));
        c
    }

    fn matrixmultiply(&self, start: Start) -> Vec<f32> {
        let ((m, n, k), mut c) = (self.sizes, self.c.clone());
        let strides = |turned, rows: usize, columns: usize| match turned {
            true => (1, rows as isize),
            false => (columns as isize, 1),
        };
        let ((ra, ca), (rb, cb)) = (strides(self.turned.0, m, k), strides(self.turned.1, k, n));
        let beta = if matches!(start, Start::Present) {
            1.0
        } else {
            0.0
        };
        let (a, b) = (self.a.as_ptr(), self.b.as_ptr());
        // SAFETY: the factors have m·k and k·n elements in these orders, the result m·n.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                1.0,
                a,
                ra,
                ca,
                b,
                rb,
                cb,
                beta,
                c.as_mut_ptr(),
                n as isize,
                1,
            );
        }
        c
    }
}

const SHAPES: [(usize, usize, usize); 17] = [
    (1, 1, 1),
    (7, 2, 3),
    (33, 7, 1025),
    (64, 64, 64),
    (100, 72, 200),
    (1, 512, 512),
    (130, 1, 700),
    (2, 2, 2000),
    (48, 1030, 257),
    (269, 21, 40),
    (14, 32, 8),
    (29, 33, 256),
    (337, 65, 9),
    (13, 31, 511),
    (20, 40, 384),
    (17, 33, 385),
    (9, 20, 1024),
];

const TURNS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn check_all(start: Start) {
    for sizes in SHAPES {
        for turned in TURNS {
            let case = Case::new(sizes, turned);
            for simd in instruction_sets() {
                case.check(&format!("{simd:?}"), start, &case.kernels(simd, start));
            }
            case.check("matrixmultiply", start, &case.matrixmultiply(start));
        }
    }
}

#[test]
fn products_follow_the_rule_to_the_bit() {
    check_all(Start::Zero);
}

#[test]
fn sums_follow_the_rule_to_the_bit() {
    check_all(Start::Present);
}

/// What sums begin with lies elsewhere, and what was in the result is gone.
#[test]
fn sums_from_other_numbers_follow_the_rule_to_the_bit() {
    for sizes in SHAPES {
        for turned in TURNS {
            let case = Case::new(sizes, turned);
            let numbers = numbers(sizes.0 * sizes.1, 9);
            let start = Start::From(&numbers);
            for simd in instruction_sets() {
                case.check(&format!("{simd:?}"), start, &case.kernels(simd, start));
            }
            case.check("two", start, &case.threads(2, start));
        }
    }
}

#[test]
#[should_panic(expected = "matrices that do not fit each other")]
fn too_few_numbers_to_start_from_are_refused() {
    let mut right = Right::default();
    right.pack_here(Matrix::new(&[0.0; 12], 4), Kernels::get());
    let start = Start::From(&[0.0; 7]);
    right.product(Matrix::new(&[0.0; 6], 3), &mut [0.0; 8], 4, start);
}

#[test]
fn threads_change_no_bit() {
    for sizes in SHAPES {
        for turned in TURNS {
            let case = Case::new(sizes, turned);
            case.check("one thread", Start::Zero, &case.threads(1, Start::Zero));
            case.check("three", Start::Zero, &case.threads(3, Start::Zero));
            case.check("two", Start::Present, &case.threads(2, Start::Present));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape_follows_the_rule(
        sizes in (1usize..70, 1usize..70, 1usize..600),
        turned in any::<(bool, bool)>(),
        present in any::<bool>(),
    ) {
        let (case, start) = (Case::new(sizes, turned), if present { Start::Present } else { Start::Zero });
        for simd in instruction_sets() {
            case.check(&format!("{simd:?}"), start, &case.kernels(simd, start));
        }
    }
}

/// More columns than are packed at once.
#[test]
fn a_wide_product_is_cut_by_columns() {
    let case = Case::new((3, 9_000, 500), (false, true));
    let from = numbers(27_000, 9);
    for start in [Start::Zero, Start::Present, Start::From(&from)] {
        case.check("wide", start, &case.threads(2, start));
    }
}

/// Each number of rows that a tile can have, by rows and by columns with gaps, below and beyond eight steps and a block.
#[test]
fn every_kernel_follows_the_rule_to_the_bit() {
    for simd in instruction_sets() {
        let kernels = Kernels::of(simd);
        for rows in 1..=kernels.rows {
            for k in [0, 1, 7, 8, 9, 255, 257, 265, 384, 385] {
                for columns in [1, kernels.columns] {
                    check_lies(kernels, (rows, k, columns));
                }
            }
        }
    }
}

fn check_lies(kernels: &Kernels, (rows, k, n): (usize, usize, usize)) {
    let (b, c) = (numbers(k * n, 2), numbers(rows * n, 3));
    let by_rows = numbers((rows - 1) * (k + 1) + k, 1);
    let by_columns = numbers((k * (rows + 1)).saturating_sub(1), 4);
    let mut right = Right::default();
    right.pack_here(Matrix::strided(&b, k, n, n), kernels);
    for turned in [false, true] {
        // A factor that is packed by itself has one group only.
        if !turned && k > BLOCK + SHORT && kernels.by_rows.is_none() {
            continue;
        }
        let mut buffer = Buffer::EMPTY;
        let left = match turned {
            true => Left::columns(&by_columns, rows, k, rows + 1),
            false => {
                let matrix = Matrix::strided(&by_rows, rows, k, k + 1);
                Left::of(matrix, kernels, &mut buffer)
            }
        };
        let a = |i: usize, p: usize| match turned {
            true => by_columns[p * (rows + 1) + i],
            false => by_rows[i * (k + 1) + p],
        };
        let mut ours = c.clone();
        right.tiles(kernels, left, n, &mut ours, n, Start::Present, |_, _| true);
        for (place, ours) in ours.iter().enumerate() {
            let (i, j) = (place / n, place % n);
            let expected = by_the_rule(|p| a(i, p), |p| b[p * n + j], k, c[place]);
            let is_equal = ours.to_bits() == expected.to_bits();
            assert!(
                is_equal,
                "{turned} {rows}×{n}×{k} at {place}: {ours} {expected}"
            );
        }
    }
}

/// A left factor that lies by columns, some of the right factor's rows and columns, and only some tiles.
#[test]
fn tiles_that_are_not_wanted_stay_as_they_were() {
    let (rows, k, columns) = (40, 300, 70);
    let (a, b) = (numbers(400 * 41, 1), numbers(400 * 90, 2));
    for simd in instruction_sets() {
        let (kernels, mut right) = (Kernels::of(simd), Right::default());
        right.pack_here(Matrix::new(&b, 90), kernels);
        let left = Left::columns(&a, rows, k, 41);
        let mut c = vec![9.0; rows * 80];
        let wanted = |rows: &Range<usize>, columns: &Range<usize>| columns.start < rows.end;
        right.tiles(kernels, left, columns, &mut c, 80, Start::Zero, wanted);
        for (place, ours) in c.iter().enumerate() {
            let (i, j) = (place / 80, place % 80);
            let expected = by_the_rule(|p| a[p * 41 + i], |p| b[p * 90 + j], k, 0.0);
            if j <= i {
                assert_eq!(ours.to_bits(), expected.to_bits(), "{simd:?} at {i}, {j}");
            } else {
                let untouched = *ours == 9.0 && (j >= columns || j > i);
                assert!(untouched || ours.to_bits() == expected.to_bits());
            }
            assert!(j < 70 || *ours == 9.0, "beyond the last column");
        }
    }
}

#[test]
#[should_panic(expected = "a matrix outside its slice")]
fn a_matrix_outside_its_slice_is_refused() {
    Matrix::strided(&[0.0; 10], 3, 4, 4);
}

#[test]
#[should_panic(expected = "matrices that do not fit each other")]
fn a_result_that_is_too_small_is_refused() {
    let mut right = Right::default();
    right.pack_here(Matrix::new(&[0.0; 12], 4), Kernels::get());
    right.product(Matrix::new(&[0.0; 6], 3), &mut [0.0; 7], 4, Start::Zero);
}

/// Sides beside and beyond tiles and blocks, plain and turned, on one thread and on three.
#[test]
fn a_square_has_the_bits_of_a_product() {
    for (rows, columns) in [(1, 5), (13, 300), (33, 33), (130, 70), (350, 20)] {
        let numbers = numbers(rows * columns, 4);
        let plain = Matrix::new(&numbers, columns);
        for a in [plain, plain.t()] {
            let side = a.rows;
            let (mut square, mut product) = (vec![7f32; side * side], vec![0f32; side * side]);
            parallel_product(a, a.t(), &mut product, Start::Zero);
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.unwrap().install(|| parallel_square(a, &mut square));
                let same = square.iter().zip(&product);
                assert!(same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }
    }
}
