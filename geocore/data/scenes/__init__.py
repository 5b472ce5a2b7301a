"""Street scenes drawn from a seed and seen through any camera: images, labels and metric range."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "classes": ["CLASSES", "COLOURS"],
        "seeds": ["scene_seed"],
        "world": ["Scene", "draw_scene"],
        "render": ["Rendered", "default_camera", "render"],
        "stream": ["rendered"],
        "folder": ["write_scenes"],
    },
)
