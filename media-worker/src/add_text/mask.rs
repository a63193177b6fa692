//! How much of each pixel is covered by ink of one colour.

/// A rectangle of pixels, each covered 0 … 255.
///
/// Invariant: `coverage` has `width * height` values, row by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) coverage: Vec<u8>,
}

/// The left, top, right and lower edge of a rectangle; the last two are outside of it.
pub(super) type Corners = [i32; 4];

impl Mask {
    /// None if there are more or fewer values than pixels.
    pub(super) fn new(
        (left, top): (i32, i32),
        (width, height): (u32, u32),
        coverage: Vec<u8>,
    ) -> Option<Self> {
        let (width, height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
        (width.checked_mul(height) == Some(coverage.len())).then_some(Self {
            left,
            top,
            width,
            height,
            coverage,
        })
    }

    /// The same with empty pixels around it.
    pub(super) fn with_margin(&self, margin: usize) -> Self {
        let (width, height) = (self.width + 2 * margin, self.height + 2 * margin);
        let reach = i32::try_from(margin).unwrap_or(i32::MAX);
        let mut coverage = vec![0; width * height];
        for row in 0..self.height {
            let from = &self.coverage[row * self.width..][..self.width];
            coverage[(row + margin) * width + margin..][..self.width].copy_from_slice(from);
        }
        let (left, top) = (self.left.saturating_sub(reach), self.top.saturating_sub(reach));
        Self { left, top, width, height, coverage }
    }

    /// Without the pixels that are less than half covered, such as the faint glow around an emoji.
    pub(super) fn solid(&self) -> Self {
        let solid = |&coverage: &u8| if coverage < 128 { 0 } else { coverage };
        Self { coverage: self.coverage.iter().map(solid).collect(), ..*self }
    }

    /// An empty mask over all of these rectangles, as far as they lie in the picture.
    pub(super) fn covering(
        rectangles: impl Iterator<Item = Corners>,
        picture_width: u32,
        picture_height: u32,
    ) -> Self {
        let [width, height] =
            [picture_width, picture_height].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
        let [left, top, right, bottom] = rectangles
            .reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
            .unwrap_or_default();
        let (left, top) = (left.clamp(0, width), top.clamp(0, height));
        let (right, bottom) = (right.clamp(left, width), bottom.clamp(top, height));
        let width = usize::try_from(right - left).unwrap_or(0);
        let height = usize::try_from(bottom - top).unwrap_or(0);
        Self { left, top, width, height, coverage: vec![0; width * height] }
    }

    /// The mask's rectangle when its origin is put at a place.
    pub(super) fn corners_at(&self, x: i32, y: i32) -> Corners {
        let (left, top) = (x.saturating_add(self.left), y.saturating_add(self.top));
        let side = |side: usize| i32::try_from(side).unwrap_or(i32::MAX);
        [left, top, left.saturating_add(side(self.width)), top.saturating_add(side(self.height))]
    }

    /// Adds another mask, its origin put at a place. What reaches over the edge is cut off.
    pub(super) fn add(&mut self, other: &Self, x: i32, y: i32) {
        let [left, top, ..] = other.corners_at(x, y);
        let (skip_left, left) = overhang(left, self.left);
        let (skip_top, top) = overhang(top, self.top);
        let length = other.width.saturating_sub(skip_left).min(self.width.saturating_sub(left));
        let rows = other.height.saturating_sub(skip_top).min(self.height.saturating_sub(top));
        for row in 0..if length == 0 { 0 } else { rows } {
            let from = &other.coverage[(skip_top + row) * other.width + skip_left..][..length];
            let onto = &mut self.coverage[(top + row) * self.width + left..][..length];
            for (onto, &from) in onto.iter_mut().zip(from) {
                *onto = (*onto).max(from);
            }
        }
    }

    /// Every pixel's place and coverage, row by row, when the mask's origin is put at a place.
    pub(super) fn pixels_at(&self, x: i32, y: i32) -> impl Iterator<Item = (i32, i32, u8)> {
        let [left, top, ..] = self.corners_at(x, y);
        let rows = (top..).zip(self.coverage.chunks_exact(self.width.max(1)));
        rows.flat_map(move |(y, row)| (left..).zip(row).map(move |(x, &coverage)| (x, y, coverage)))
    }
}

/// How much of something that begins at `start` lies before `edge`, and how far behind it the rest
/// begins.
fn overhang(start: i32, edge: i32) -> (usize, usize) {
    let before = usize::try_from(i64::from(edge) - i64::from(start)).unwrap_or(0);
    let behind = usize::try_from(i64::from(start) - i64::from(edge)).unwrap_or(0);
    (before, behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(left: i32, top: i32) -> Mask {
        Mask::new((left, top), (2, 2), vec![10, 20, 30, 40]).unwrap()
    }

    #[track_caller]
    fn check_added(at: (i32, i32), expected: [[u8; 3]; 3]) {
        let mut layer = Mask::covering([[0, 0, 3, 3]].into_iter(), 3, 3);
        layer.add(&ink(0, 0), at.0, at.1);
        assert_eq!(layer.coverage, expected.concat(), "{at:?}");
    }

    #[test]
    fn what_reaches_over_the_edge_is_cut_off() {
        check_added((0, 0), [[10, 20, 0], [30, 40, 0], [0, 0, 0]]);
        check_added((1, 1), [[0, 0, 0], [0, 10, 20], [0, 30, 40]]);
        check_added((2, 2), [[0, 0, 0], [0, 0, 0], [0, 0, 10]]);
        check_added((-1, -1), [[40, 0, 0], [0, 0, 0], [0, 0, 0]]);
        check_added((-1, 2), [[0, 0, 0], [0, 0, 0], [20, 0, 0]]);
        for outside in [(3, 0), (0, 3), (-2, 0), (0, -2), (i32::MAX, i32::MIN), (i32::MIN, 9)] {
            check_added(outside, [[0; 3]; 3]);
        }
    }

    #[test]
    fn the_stronger_of_two_coverages_stays() {
        let mut layer = Mask::covering([[0, 0, 2, 2]].into_iter(), 9, 9);
        layer.add(&ink(0, 0), 0, 0);
        layer.add(&ink(0, 0), 1, 0);

        assert_eq!(layer.coverage, [10, 20, 30, 40]);
    }

    #[test]
    fn a_layer_covers_what_lies_in_the_picture() {
        let covering = |rectangles: &[Corners]| {
            let layer = Mask::covering(rectangles.iter().copied(), 100, 50);
            (layer.left, layer.top, layer.width, layer.height)
        };

        assert_eq!(covering(&[[10, 20, 30, 25], [15, 5, 40, 22]]), (10, 5, 30, 20));
        assert_eq!(covering(&[[-5, -5, 200, 200]]), (0, 0, 100, 50));
        assert_eq!(covering(&[[200, 200, 300, 300]]), (100, 50, 0, 0));
        assert_eq!(covering(&[]), (0, 0, 0, 0));
    }

    #[test]
    fn pixels_are_told_where_they_lie() {
        let pixels: Vec<_> = ink(-1, 2).pixels_at(10, 10).collect();

        assert_eq!(pixels, [(9, 12, 10), (10, 12, 20), (9, 13, 30), (10, 13, 40)]);
        assert_eq!(Mask::default().pixels_at(0, 0).count(), 0);
    }

    #[test]
    fn a_mask_has_a_value_for_each_pixel() {
        assert!(Mask::new((0, 0), (2, 2), vec![0; 3]).is_none());
        assert!(Mask::new((0, 0), (u32::MAX, u32::MAX), vec![0; 3]).is_none());
    }
}
