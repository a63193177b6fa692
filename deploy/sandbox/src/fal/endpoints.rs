//! The endpoints that are sold, with the names of their inputs and the shape of their output.

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: &'static str,
    pub(super) work: Work,
    pub(super) canvas: Canvas,
    /// Values of `output_format`, the default first.
    pub(super) formats: &'static [Format],
    /// `images` or `image`.
    pub(super) shape: Shape,
    pub(super) adds: &'static [Add],
}

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Work {
    /// A picture from a prompt.
    Generate,
    /// A picture from pictures (`image_urls`) and a prompt.
    Edit,
    /// The fields with the two pictures.
    FaceSwap { target: &'static str, face: &'static str },
    /// `image_url`; larger too where the endpoint does both.
    Retouch { factor: Option<Factor> },
    /// `image_url`.
    Upscale { factor: Factor, target_resolution: bool },
}

/// How much larger, in thousandths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Factor {
    pub(super) field: &'static str,
    pub(super) default: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

/// How the caller says the size of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Canvas {
    /// `aspect_ratio` and `resolution`.
    Aspect { default: &'static str },
    /// `image_size`: a preset, or width and height. `side` is that of a square.
    Size { default: &'static str, side: u32 },
    /// That of the input.
    AsInput,
}

/// A file format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Webp,
}

/// Where the pictures stand in the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// `images`, and the caller may ask for up to so many.
    Images { most: u64 },
    /// `image`.
    Image,
}

/// What stands in the output besides the pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Add {
    Seed,
    Description,
    Nsfw,
    Timings,
    Prompt,
}

impl Format {
    /// As callers write it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "png" => Some(Self::Png),
            "jpeg" | "jpg" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

const PNG_FIRST: &[Format] = &[Format::Png, Format::Jpeg, Format::Webp];
const JPEG_OR_PNG: &[Format] = &[Format::Jpeg, Format::Png];
const PNG_OR_JPEG: &[Format] = &[Format::Png, Format::Jpeg];
const JPEG_FIRST: &[Format] = &[Format::Jpeg, Format::Png, Format::Webp];
const PNG_ONLY: &[Format] = &[Format::Png];

const fn nano(id: &'static str, work: Work, default: &'static str) -> Endpoint {
    Endpoint {
        id,
        work,
        canvas: Canvas::Aspect { default },
        formats: PNG_FIRST,
        shape: Shape::Images { most: 4 },
        adds: &[Add::Description],
    }
}

const fn flux(id: &'static str, work: Work, default: &'static str) -> Endpoint {
    Endpoint {
        id,
        work,
        canvas: Canvas::Size { default, side: 1024 },
        formats: JPEG_OR_PNG,
        shape: Shape::Images { most: 1 },
        adds: &[Add::Seed],
    }
}

const fn seedream(id: &'static str, work: Work, adds: &'static [Add]) -> Endpoint {
    Endpoint {
        id,
        work,
        canvas: Canvas::Size { default: "auto_2K", side: 2048 },
        formats: if adds.is_empty() { JPEG_OR_PNG } else { PNG_ONLY },
        shape: Shape::Images { most: 6 },
        adds,
    }
}

const fn one_image(
    id: &'static str,
    work: Work,
    formats: &'static [Format],
    adds: &'static [Add],
) -> Endpoint {
    Endpoint { id, work, canvas: Canvas::AsInput, formats, shape: Shape::Image, adds }
}

const fn factor(field: &'static str, default: u64, min: u64, max: u64) -> Factor {
    Factor { field, default: default * 1000, min: min * 1000, max: max * 1000 }
}

const fn upscale(factor: Factor) -> Work {
    Work::Upscale { factor, target_resolution: false }
}

/// All of them.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    nano("fal-ai/nano-banana-2", Work::Generate, "auto"),
    nano("fal-ai/nano-banana", Work::Generate, "1:1"),
    nano("fal-ai/nano-banana-pro", Work::Generate, "1:1"),
    nano("fal-ai/nano-banana-2/edit", Work::Edit, "auto"),
    nano("fal-ai/nano-banana/edit", Work::Edit, "auto"),
    nano("fal-ai/nano-banana-pro/edit", Work::Edit, "auto"),
    flux("fal-ai/flux-2-pro", Work::Generate, "landscape_4_3"),
    flux("fal-ai/flux-2-pro/edit", Work::Edit, "auto"),
    seedream("fal-ai/bytedance/seedream/v4.5/text-to-image", Work::Generate, &[Add::Seed]),
    seedream("fal-ai/bytedance/seedream/v4.5/edit", Work::Edit, &[Add::Seed]),
    seedream("bytedance/seedream/v5/pro/text-to-image", Work::Generate, &[]),
    seedream("bytedance/seedream/v5/pro/edit", Work::Edit, &[]),
    Endpoint {
        id: "fal-ai/qwen-image-edit-2511",
        work: Work::Edit,
        canvas: Canvas::Size { default: "auto", side: 1024 },
        formats: PNG_FIRST,
        shape: Shape::Images { most: 4 },
        adds: &[Add::Seed, Add::Nsfw, Add::Timings, Add::Prompt],
    },
    one_image(
        "fal-ai/face-swap",
        Work::FaceSwap { target: "base_image_url", face: "swap_image_url" },
        JPEG_FIRST,
        &[],
    ),
    one_image(
        "half-moon-ai/ai-face-swap/faceswapimage",
        Work::FaceSwap { target: "target_image_url", face: "source_face_url" },
        JPEG_FIRST,
        &[],
    ),
    one_image("fal-ai/retoucher", Work::Retouch { factor: None }, JPEG_FIRST, &[Add::Seed]),
    Endpoint {
        id: "fal-ai/image-editing/retouch",
        work: Work::Retouch { factor: None },
        canvas: Canvas::AsInput,
        formats: JPEG_FIRST,
        shape: Shape::Images { most: 1 },
        adds: &[Add::Seed],
    },
    one_image(
        "fal-ai/codeformer",
        Work::Retouch { factor: Some(factor("upscale_factor", 2, 1, 4)) },
        PNG_FIRST,
        &[Add::Seed],
    ),
    one_image(
        "fal-ai/seedvr/upscale/image",
        Work::Upscale { factor: factor("upscale_factor", 2, 1, 10), target_resolution: true },
        JPEG_FIRST,
        &[Add::Seed],
    ),
    one_image(
        "fal-ai/clarity-upscaler",
        upscale(factor("upscale_factor", 2, 1, 4)),
        PNG_ONLY,
        &[Add::Seed, Add::Timings],
    ),
    one_image("fal-ai/esrgan", upscale(factor("scale", 2, 1, 8)), PNG_OR_JPEG, &[]),
    one_image(
        "fal-ai/aura-sr",
        upscale(factor("upscale_factor", 4, 4, 4)),
        PNG_ONLY,
        &[Add::Timings],
    ),
];

/// The endpoint with exactly this id.
pub(super) fn find(id: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.id == id)
}

/// The part of an id by which status, result and cancel are asked for.
pub(super) fn app(id: &str) -> String {
    let segments = if id.starts_with("workflows/") || id.starts_with("comfy/") { 3 } else { 2 };
    id.split('/').take(segments).collect::<Vec<_>>().join("/")
}

/// Whether some endpoint belongs to this app.
pub(super) fn is_app(name: &str) -> bool {
    ENDPOINTS.iter().any(|endpoint| app(endpoint.id) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_the_first_two_segments() {
        assert_eq!(app("fal-ai/flux-2-pro"), "fal-ai/flux-2-pro");
        assert_eq!(app("fal-ai/bytedance/seedream/v4.5/edit"), "fal-ai/bytedance");
        assert_eq!(app("workflows/me/mine/x"), "workflows/me/mine");
    }

    #[test]
    fn every_endpoint_is_found_by_its_own_id() {
        for endpoint in ENDPOINTS {
            assert!(std::ptr::eq(find(endpoint.id).unwrap(), endpoint), "{}", endpoint.id);
            assert!(is_app(&app(endpoint.id)));
        }
    }
}
