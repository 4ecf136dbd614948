"""A flame graph as one SVG file that needs nothing else.

The outermost frame is at the bottom; a box is as wide as its share of the samples. The colour says
whose code it is. Pointing at a box shows the whole name with its samples.
"""

import html
import zlib

from .stacks import Frame

WIDTH, MARGIN = 1400, 10
ROW = 17
FONT = 11
LETTER = 6.65  # The width of a letter of the monospaced font at that size.
LEAST = 0.3  # Boxes narrower than this many pixels would only be a smear.
TOP = 66

# Hue, saturation and lightness; the name shifts the lightness, so that neighbours differ.
COLOURS = {"engine": (207, 70, 66), "library": (48, 80, 62), "kernel": (18, 78, 68),
           "unknown": (0, 0, 76)}
LEGEND = {"engine": "engine", "library": "libc and other libraries", "kernel": "kernel",
          "unknown": "unknown"}


class Node:
    def __init__(self, frame):
        self.frame = frame
        self.samples = 0
        self.children = {}


def tree(stacks):
    root = Node(Frame("all", "unknown"))
    for stack, count in stacks.items():
        root.samples += count
        node = root
        for frame in stack:
            node = node.children.setdefault(frame, Node(frame))
            node.samples += count
    return root


def _colour(frame):
    hue, saturation, light = COLOURS[frame.kind]
    return f"hsl({hue},{saturation}%,{light + zlib.crc32(frame.name.encode()) % 17 - 8}%)"


def _fitting(text, width):
    """As much of the text as a box has room for."""
    letters = int((width - 6) / LETTER)
    if letters < 3:
        return ""
    return text if len(text) <= letters else text[:letters - 1] + "…"


def _box(node, left, row, width, bottom, whole):
    top = bottom - (row + 1) * ROW
    share = node.samples / whole * 100
    title = html.escape(f"{node.frame.name}: {node.samples:,} samples, {share:.1f} %")
    text = html.escape(_fitting(node.frame.label, width))
    label = f'<text x="{left + 3:.1f}" y="{top + 12}">{text}</text>' if text else ""
    return (f'<g><title>{title}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" '
            f'height="{ROW - 1}" fill="{_colour(node.frame)}"/>{label}</g>')


def _boxes(root, bottom):
    scale = (WIDTH - 2 * MARGIN) / root.samples
    lines, waiting = [], [(root, float(MARGIN), 0)]
    while waiting:
        node, left, row = waiting.pop()
        lines.append(_box(node, left, row, node.samples * scale, bottom, root.samples))
        for child in sorted(node.children.values(), key=lambda one: one.frame.name):
            if child.samples * scale >= LEAST:
                waiting.append((child, left, row + 1))
            left += child.samples * scale
    return lines


def _depth(root):
    """Rows that are drawn."""
    least = LEAST * root.samples / (WIDTH - 2 * MARGIN)
    deepest, waiting = 0, [(root, 1)]
    while waiting:
        node, row = waiting.pop()
        deepest = max(deepest, row)
        waiting += [(child, row + 1) for child in node.children.values() if child.samples >= least]
    return deepest


def _legend(kinds):
    lines, left = [], MARGIN
    for kind in kinds:
        hue, saturation, light = COLOURS[kind]
        lines.append(f'<rect x="{left}" y="46" width="12" height="12" '
                     f'fill="hsl({hue},{saturation}%,{light}%)"/>'
                     f'<text x="{left + 17}" y="56">{LEGEND[kind]}</text>')
        left += 30 + len(LEGEND[kind]) * LETTER
    return lines


def svg(stacks, heading, detail):
    """The document as text. Without samples it says that there are none."""
    root = tree(stacks)
    kinds = [kind for kind in COLOURS if any(f.kind == kind for stack in stacks for f in stack)]
    height = TOP + (_depth(root) if root.samples else 1) * ROW + MARGIN
    if root.samples:
        body = _boxes(root, height - MARGIN)
    else:
        body = [f'<text x="{MARGIN}" y="{TOP + 12}">no samples: it used no processor time</text>']
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans Mono, monospace" '
        f'font-size="{FONT}">',
        "<style>rect:hover{stroke:#000}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{MARGIN}" y="20" font-size="15" font-weight="bold">{html.escape(heading)}'
        '</text>',
        f'<text x="{MARGIN}" y="37" fill="#555">{html.escape(detail)}</text>',
        *_legend(kinds), *body, "</svg>", ""])
