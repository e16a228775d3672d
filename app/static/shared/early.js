/* What this browser stores of the looks, set before anything is painted: a classic script, which the browser runs before it goes on. */

{
  const [theme, language] = [localStorage.getItem("darkroom-theme"), localStorage.getItem("darkroom-language")];
  if (theme) document.documentElement.dataset.theme = theme;
  if (language) document.documentElement.dataset.code = language;
}
