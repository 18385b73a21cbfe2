"""Streamlit parts."""
