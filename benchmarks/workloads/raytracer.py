"""A ray tracer: immutable vectors with operators, polymorphic shapes, recursion.

Spheres over a checked floor, one light, shadows and mirrors.
"""

import math

import pepjit_worker

WIDTH = 100
HEIGHT = 75
MAX_DEPTH = 3
EPSILON = 1e-6


class Vector:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def dot(self, other):
        return self.x * other.x + self.y * other.y + self.z * other.z

    def length(self):
        return math.sqrt(self.dot(self))

    def normalised(self):
        return self * (1.0 / self.length())

    def reflected(self, normal):
        return self - normal * (2.0 * self.dot(normal))

    def blend(self, other, share):
        return self * (1.0 - share) + other * share


class Ray:
    __slots__ = ("origin", "direction")

    def __init__(self, origin, direction):
        self.origin = origin
        self.direction = direction.normalised()

    def at(self, distance):
        return self.origin + self.direction * distance


class Sphere:
    def __init__(self, centre, radius, colour, mirror):
        self.centre = centre
        self.radius = radius
        self.colour = colour
        self.mirror = mirror

    def hit(self, ray):
        """The distance along the ray, or None."""
        to_centre = self.centre - ray.origin
        along = to_centre.dot(ray.direction)
        square = self.radius * self.radius - (to_centre.dot(to_centre) - along * along)
        if square < 0.0:
            return None
        half = math.sqrt(square)
        for distance in (along - half, along + half):
            if distance > EPSILON:
                return distance
        return None

    def normal_at(self, point):
        return (point - self.centre).normalised()

    def colour_at(self, point):
        return self.colour


class Floor:
    """The plane y = height, in two colours."""

    def __init__(self, height, light, dark):
        self.height = height
        self.colours = (light, dark)
        self.mirror = 0.1

    def hit(self, ray):
        if abs(ray.direction.y) < EPSILON:
            return None
        distance = (self.height - ray.origin.y) / ray.direction.y
        return distance if distance > EPSILON else None

    def normal_at(self, point):
        return Vector(0.0, 1.0, 0.0)

    def colour_at(self, point):
        return self.colours[(math.floor(point.x) + math.floor(point.z)) & 1]


class Scene:
    def __init__(self, shapes, light, sky):
        self.shapes = shapes
        self.light = light
        self.sky = sky
        self.rays = 0

    def nearest(self, ray):
        best = None
        best_distance = math.inf
        for shape in self.shapes:
            distance = shape.hit(ray)
            if distance is not None and distance < best_distance:
                best, best_distance = shape, distance
        return best, best_distance

    def in_shadow(self, point, to_light):
        reach = to_light.length()
        ray = Ray(point, to_light)
        for shape in self.shapes:
            distance = shape.hit(ray)
            if distance is not None and distance < reach:
                return True
        return False

    def colour(self, ray, depth=0):
        self.rays += 1
        shape, distance = self.nearest(ray)
        if shape is None:
            return self.sky * (0.5 + 0.5 * ray.direction.y)
        point = ray.at(distance)
        normal = shape.normal_at(point)
        outside = point + normal * EPSILON * 10
        to_light = self.light - outside
        brightness = 0.15
        facing = normal.dot(to_light.normalised())
        if facing > 0.0 and not self.in_shadow(outside, to_light):
            brightness += 0.85 * facing
        colour = shape.colour_at(point) * brightness
        if shape.mirror > 0.0 and depth < MAX_DEPTH:
            reflection = Ray(outside, ray.direction.reflected(normal))
            colour = colour.blend(self.colour(reflection, depth + 1), shape.mirror)
        return colour


def make_scene():
    shapes = [Floor(-1.0, Vector(0.9, 0.9, 0.8), Vector(0.2, 0.25, 0.3))]
    for number in range(5):
        angle = number * 2.0 * math.pi / 5
        centre = Vector(2.0 * math.cos(angle), -0.4 + 0.2 * number, 6.0 + 2.0 * math.sin(angle))
        colour = Vector(0.3 + 0.14 * number, 0.9 - 0.15 * number, 0.5)
        shapes.append(Sphere(centre, 0.8, colour, 0.1 * number))
    return Scene(shapes, Vector(-6.0, 8.0, -2.0), Vector(0.5, 0.7, 1.0))


def to_byte(value):
    return min(255, max(0, int(value * 255.0)))


def render(scene, width, height):
    """The grey levels of all pixels."""
    eye = Vector(0.0, 0.6, -2.0)
    pixels = []
    for row in range(height):
        y = 0.9 - 1.8 * row / (height - 1)
        for column in range(width):
            x = -1.2 + 2.4 * column / (width - 1)
            colour = scene.colour(Ray(eye, Vector(x, y, 2.0)))
            pixels.append(to_byte(0.3 * colour.x + 0.6 * colour.y + 0.1 * colour.z))
    return pixels


def run():
    scene = make_scene()
    pixels = render(scene, WIDTH, HEIGHT)
    # Coarse on purpose: the last bit of a square root mustn't decide.
    return scene.rays, sum(pixels) // 100, sum(pixel > 128 for pixel in pixels)


EXPECTED = (12725, 7205, 1218)

if __name__ == "__main__":
    pepjit_worker.main("raytracer", run, EXPECTED)
