"""Packaging for ROS 2 (ament_python). colcon's --symlink-install reads this file and setup.cfg but not pyproject.toml,
so packages, data files and entry points are stated here too; pip reads everything else from pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "vpr_aesvc"


def files(folder: str) -> list[str]:
    """Of a folder beside this file; not the bytecode that Python leaves there."""
    return sorted(str(path) for path in Path(folder).glob("*") if path.is_file())


setup(
    name=PACKAGE,
    version="0.1.0",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "evaluation/*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *((f"share/{PACKAGE}/{folder}", files(folder)) for folder in ("launch", "config", "rviz")),
    ],
    entry_points={"console_scripts": ["vpr = vpr_aesvc.cli.main:main", "vpr_node = vpr_aesvc.ros.main:main"]},
    zip_safe=False,
)
