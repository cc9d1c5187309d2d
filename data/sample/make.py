#!/usr/bin/env python3
"""Makes products.jsonl, the sample catalogue, from the Complete Journey data: see README.md.

    python3 make.py FOLDER > products.jsonl     FOLDER holds products.csv.gz and transactions_sample.csv.gz

The same input gives the same bytes.
"""

import csv
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import median

HOW_MANY = 1500

# Sold at the till, but nothing for a shelf: fuel, vouchers, tickets, tobacco, and what has no kind.
NOT_FOR_SALE = re.compile(
    r"^(FUEL|COUPON|GM MERCH EXP|MISCELLANEOUS|TRAVEL & LEISURE)$|COUPON|SUPPLIES$|CIGARETTES|TOBACCO|TICKETS"
    r"|PREPAID|NEWSPAPER|MISC SALES|DISCONTINUED|^INTERNAL$"
)

DEPARTMENTS = {
    "DELI": "Deli",
    "DRUG GM": "Household",
    "FLORAL": "Flowers",
    "CHEF SHOPPE": "Kitchen Counter",
    "MEAT-PCKGD": "Packaged Meat",
    "PASTRY": "Bakery",
    "SEAFOOD-PCKGD": "Packaged Seafood",
    "SALAD BAR": "Salad Bar",
}

# The store's own words for a kind of product, where the rules below would not make a title of them. Some kinds say
# nothing without their category: those are keyed by both.
KINDS = {
    "ADULT CEREAL": "Adult Cereal",
    "APPLE JUICE & CIDER (50% AND U": "Apple Juice Drink",
    "APPLE JUICE & CIDER (OVER 50%": "Apple Juice",
    "ASEPTIC PACK JUICE AND DRINKS": "Juice Boxes",
    "BEERALEMALT LIQUORS": "Beer",
    "BEANS GREEN: FS/WHL/CUT": "Green Beans",
    "BLENDED JUICE&COMBINATIONS (50": "Blended Juice Drink",
    "BLENDED JUICE&COMBINATIONS (OV": "Blended Juice",
    "BOURBON/TN WHISKEY (42 UNDER P": "Bourbon Whiskey",
    "BREADINGS  COATINGS CRUMBS": "Bread Crumbs",
    "BREAST - BONELESS(IQF)": "Frozen Boneless Chicken Breast",
    "BUTTER SPRAY CRACKER (RITZ/CLU": "Butter Crackers",
    "CAN DOG FOOD (SKIPPY/PEDIGREE/": "Canned Dog Food",
    "CANDY BAGS-CHOCOCLATE": "Chocolate Candy Bag",
    "CANDY BAGS-CHOCOCLATE W/FLOUR": "Chocolate Wafer Candy Bag",
    "CANDY BAGS-NON CHOCOLATE": "Fruit Candy Bag",
    "CANDY BARS (MULTI PACK)": "Candy Bars Multipack",
    "CANDY BARS (SINGLES)(INCLUDING": "Candy Bar",
    "CANISTER POTATO/TORT CHIPS": "Chips Canister",
    "CANNED CAT FOOD (9 LIVES/FRISK": "Canned Cat Food",
    "CARDS EVERYDAY": "Greeting Card",
    "CARDS SEASONAL": "Seasonal Greeting Card",
    "CHEESE CRACKERS (CHEEZ-ITS/GOL": "Cheese Crackers",
    "COUGH SYRP/LOZNG-DRP/XPCTRNT": "Cough Drops",
    "CRANAPPLE CRAN GRAPE JUICE (5": "Cranberry Apple Juice Drink",
    "CRANBERRY JUICE (50% AND UNDER": "Cranberry Juice Drink",
    "CROUTONS SALAD TOPPERS BREAD": "Croutons",
    "DAIRY CASE 100% PURE JUICE - O": "Chilled Orange Juice",
    "DAIRY CASE 100% PURE JUICE OTH": "Chilled Fruit Juice",
    "DAIRY CASE CITRUS PNCH/OJ SUBS": "Chilled Citrus Punch",
    "DAIRY CASE FRUIT DRINKS (NO JU": "Chilled Fruit Drink",
    "DAIRY CASE JUICE DRNK UNDER 10": "Chilled Juice Drink",
    "DAIRY CASE TEA WITH SUGAR OR S": "Chilled Sweet Tea",
    "DESIGNER PAPER: MEDIUM WEIGHT": "Designer Paper Plates",
    "DIECAST MINI": "Diecast Toy Car",
    "DIPS (NON-REFRIGERATED)": "Snack Dip",
    "DRY BEANS/PEAS/BARLEY: BAG & B": "Dry Beans",
    "DRY CAT FOOD (CAT CHOW/FRISKIE": "Dry Cat Food",
    "DRY DOG FOOD PREMIUM (ALPO/PUR": "Dry Dog Food",
    "ENHANCED": "Marinated Pork",
    "FACIAL TISSUE & PAPER HANDKE": "Facial Tissues",
    "FLUID MILK": "Milk",
    "FLUID MILK WHITE ONLY": "White Milk",
    "FORTIFIED/ENERGY WATER": "Fortified Water",
    "FRUIT BOWL AND CUPS": "Fruit Cups",
    "FRUIT DRINKS: CANNED & GLASS (": "Fruit Drink",
    "FRZN BAGGED VEGETABLES - PLAIN": "Frozen Vegetables",
    "FRZN BOXED VEGETABLES - PLAIN": "Frozen Boxed Vegetables",
    "FRZN BOXED VEGETABLES- VALUE A": "Frozen Vegetables in Sauce",
    "FRZN BRD STICK/PORTON": "Frozen Fish Sticks",
    "FRZN BREADED PREPARED CHICK": "Frozen Breaded Chicken",
    "FRZN BREAKFAST ENTREES/SANDWIC": "Frozen Breakfast Sandwich",
    "FRZN BURGERS/BBQ/MEATBALL": "Frozen Meatballs",
    "FRZN CONC UNDER 50% JUICE": "Frozen Juice Drink Concentrate",
    "FRZN GARLIC BREAD/TOAST/STICKS": "Frozen Garlic Bread",
    "FRZN MULTI SERVE ENTREES ALL": "Frozen Family Entree",
    "FRZN OJ&OJ SUBSTITUTES (OVER 5": "Frozen Orange Juice Concentrate",
    "FRZN PIE SHELLS PASTRY SHELL": "Frozen Pie Shells",
    "FRZN SS PREMIUM ENTREES/DNRS/N": "Frozen Premium Entree",
    "FRZN SS PREMIUM ENTREES/DNRS/T": "Frozen Premium Dinner",
    "FRZN TATER TOTS/OTHER EXTRUDED": "Frozen Tater Tots",
    "GARBAGE KITCHEN COMPACTOR BA": "Kitchen Garbage Bags",
    "GRAPE JUICE (OVER 50% JUICE)": "Grape Juice",
    "GRND/PATTY - FROZEN": "Frozen Beef Patties",
    "HOT MUSTARD/SPECIALTY MUSTAR": "Specialty Mustard",
    "ICE - CRUSHED/CUBED": "Ice Cubes",
    "INFANT FORMULA MILK BASE": "Infant Formula",
    "INSTANT COFFEE FLAVORED NO SWE": "Instant Flavored Coffee",
    "INSTORE CUT FRUIT": "Cut Fruit",
    "INSTORE CUT VEGETABLES": "Cut Vegetables",
    "ISOTONIC DRINKS MULTI-SERVE": "Sports Drink Multipack",
    "ISOTONIC DRINKS SINGLE SERVE": "Sports Drink",
    "IWS SINGLE CHEESE": "Wrapped Cheese Slices",
    "LEMON JUICE & LIME JUICE (OVER": "Lemon Juice",
    "LINAMENTS": "Liniment",
    "LUNCH COMBO": "Lunch Kit",
    "MACARONI & CHEESE DNRS": "Macaroni & Cheese Dinner",
    "MAINSTREAM WHEAT/MULTIGRAIN BR": "Wheat Bread",
    "MAINSTREAM WHITE BREAD": "White Bread",
    "MALTED MLK/SYRUP/PWDRS (EGGNOG": "Chocolate Syrup",
    "MARGARINE: TUBS AND BOWLS": "Margarine Tub",
    "MEXICAN SAUCESSALSAPICANTEE": "Salsa",
    "MEXICAN SOFT TORTILLAS AND WRA": "Soft Tortillas",
    "MINTS CANDY & BREATH (NOT LIF": "Breath Mints",
    "MISC DAIRY REFIGERATED": "Dairy Spread",
    "MISC REFRIG DOUGH PRODUCTS": "Refrigerated Dough",
    "MISCELLANEOUS CANDY (INCLUDING": "Assorted Candy",
    "MIXERS(CLUB SODA/SELTZERS)FLAV": "Seltzer",
    "MIXERS(TONIC WTR/CLUB SODA/GNG": "Tonic Water",
    "NATURAL CHEESE EXACT WT CHUNKS": "Cheese Chunk",
    "NATURAL CHEESE EXACT WT SLICES": "Cheese Slices",
    "NON DAIRY CREAMER: DRY": "Dry Coffee Creamer",
    "NON-CARB FLVRD DRNKNG/MNRL WAT": "Flavored Water",
    "NON-CARB WATER FLVR - DRNK/MNR": "Flavored Still Water",
    "NON-CRBNTD DRNKING/MNERAL WATE": "Drinking Water",
    "NON-IWS SINGLE CHEESE": "Cheese Singles",
    "ORANGES NAVELS ALL": "Navel Oranges",
    "PASTA/GRAIN SALADS - PREPACK": "Pasta Salad",
    "PEAS & ONIONS PEAS & CARROT": "Peas & Carrots",
    "PIE FILLING MINCEMEAT GLAZES": "Pie Filling",
    "PINEAPPLE WHOLE&PEEL/CORED": "Pineapple",
    "PLASTIC WRAP (SARANETC.)": "Plastic Wrap",
    "PLASTIC/HEAVY PAPER PREM PLATE": "Premium Plates",
    "PLSTC CTLRYTBLCLTHSTTHPKSST": "Plastic Cutlery",
    "PREPARED BEANS - BAKED W/PORK": "Baked Beans with Pork",
    "REFRIGERATED BISCUITS REGULAR": "Refrigerated Biscuits",
    "REFRIGERATED COOKIES-CHUB": "Refrigerated Cookie Dough",
    "REFRIGERATED SPECILATY ROLLS": "Refrigerated Rolls",
    "RTS SOUP: CHUNKY/HOMESTYLE ET": "Ready-to-Serve Soup",
    "SANDWICH SAUCE HORSERADISH SA": "Horseradish Sauce",
    "SANDWICHES&HANDHELDS": "Frozen Sandwiches",
    "SAUCE MIXES GRAVY MIXES DRY": "Gravy Mix",
    "SEAFOOD-FRE-RAW FINFISH-OTHER": "Fresh Fish Fillet",
    "SEAFOOD-FRE-SALMON": "Fresh Salmon",
    "SEAFOOD-FRZ-BRD SHRIMP": "Frozen Breaded Shrimp",
    "SEAFOOD-FRZ-IQF RAW SHRIMP RW": "Frozen Raw Shrimp",
    "SEAFOOD-FRZ-RAW FILLETS": "Frozen Fish Fillets",
    "SEMI-SOLID SALAD DRESSING MAY": "Mayonnaise",
    "SFT DRNK 2 LITER BTL CARB INCL": "Soft Drink 2 Liter Bottle",
    "SFT DRNK MLT-PK BTL CARB (EXCP": "Soft Drink Bottles",
    "SFT DRNK SNGL SRV BTL CARB (EX": "Soft Drink Bottle",
    "SGL SV/VEND MACH SNACKS CHIP/P": "Single-Serve Chips",
    "SINGLE STEMS": "Single Stem Flower",
    "SMOKED OFFAL": "Smoked Meat",
    "SNACKS/APPETIZERS": "Frozen Appetizers",
    "SOFT DRINK BOTTLE NON-CARB (EX": "Still Soft Drink Bottle",
    "SOFT DRINK POWDER POUCHES": "Drink Mix",
    "SOFT DRINKS 12/18&15PK CAN CAR": "Soft Drink Cans 12-Pack",
    "SOFT DRINKS 20PK&24PK CAN CARB": "Soft Drink Cans 24-Pack",
    "SOFT DRINKS 6PK/4PK CAN CARB (": "Soft Drink Cans 6-Pack",
    "SOFT DRINKS CAN NON-CARB (EXCE": "Still Soft Drink Can",
    "SOUP CRACKERS (SALTINE/OYSTER)": "Saltine Crackers",
    "SS ECONOMY ENTREES/DINNERS ALL": "Frozen Dinner",
    "STEAK & WORCHESTER SAUCE": "Steak Sauce",
    "SW GDS: SW ROLLS/DAN": "Sweet Rolls",
    "SW GDS: BROWNIE/BAR COOKIE": "Brownies",
    "TABLE SALT POPCORN SALTICE C": "Table Salt",
    "TEA BAGS & BULK TEA": "Tea Bags",
    "TEA CAN WITH SWEETENER/SUGAR": "Sweet Tea Can",
    "TOMATO JUICE (OVER 50% JCE)": "Tomato Juice",
    "TOMATO PUREE & ASPIC": "Tomato Puree",
    "TOMATOES: STEWED/DICED/CRMD": "Diced Tomatoes",
    "TRAY PACK/CHOC CHIP COOKIES": "Chocolate Chip Cookies",
    "TV/MOVIE-MAGAZINE": "Entertainment Magazine",
    "TABLOIDS-MAGAZINE": "Tabloid Magazine",
    "VAC PAC NUTS(CANS)": "Canned Nuts",
    "VANILLA WAFER/KIDS COOKIES": "Vanilla Wafers",
    "VARIETY BEANS - KIDNEY PINTO": "Kidney & Pinto Beans",
    "WAFFLES/PANCAKES/FRENCH TOAST": "Frozen Waffles",
    "WHOLE CHICKEN (ROASTERS/FRYER)": "Whole Chicken",
    "WINGS (IQF)": "Frozen Chicken Wings",
    "WOMEN S GENERAL-MAGAZINE": "Women's Magazine",
    "YOGURT NOT MULTI-PACKS": "Yogurt Cup",
    "YOGURT MULTI-PACKS": "Yogurt Multipack",
    "AEROSOL TOPPINGS": "Whipped Topping",
    "APPLES OTHER (BULK&BAG)": "Apples",
    "BASIC PAPER PLATES": "Paper Plates",
    "BROCCOLI WHOLE&CROWNS": "Broccoli Crowns",
    "CANOLA OILS": "Canola Oil",
    "CANTALOUPE WHOLE": "Whole Cantaloupe",
    "CARROTS - BULK": "Loose Carrots",
    "CAULIFLOWER WHOLE": "Whole Cauliflower",
    "CHERRIES RANIER": "Rainier Cherries",
    "CHICKEN BREAST BONE IN": "Bone-In Chicken Breast",
    "CHICKEN BREAST BONELESS": "Boneless Chicken Breast",
    "CHILI: CANNED": "Canned Chili",
    "HASH: CANNED": "Canned Hash",
    "PASTA: CANNED": "Canned Pasta",
    "CHEESE: NATURAL BULK": "Deli Cheese",
    "CHEESE: PROCESSED BULK": "Deli Processed Cheese",
    "CHIX: ROTISSERIE (HOT)": "Rotisserie Chicken",
    "CHIX: VALUE ADDED (HOT)": "Hot Chicken",
    "CHIX:FRD 8PC/CUT UP (HOT)": "Fried Chicken, 8 Pieces",
    "CHIX: BAKED 8PC CUT UP (HOT)": "Baked Chicken, 8 Pieces",
    "CORN CHIPS": "Corn Chips",
    "CORN DOGS": "Corn Dogs",
    "CUT VEGETABLES ALL OTHER": "Cut Vegetables",
    "DELI TRAY:FRUIT AND VEGETABLE": "Fruit & Vegetable Tray",
    "DIET/LIGHT BREAD": "Light Bread",
    "DRIED FRUIT - OTHER": "Dried Fruit",
    "EGGS - JUMBO": "Jumbo Eggs",
    "EGGS - LARGE": "Large Eggs",
    "EGGS - MEDIUM": "Medium Eggs",
    "EGGS - X-LARGE": "Extra Large Eggs",
    "FLOUR: WHITE & SELF RISING": "White Flour",
    "FRUIT COCKTAIL FRUIT SALAD": "Fruit Cocktail",
    "FRUIT/BREAKFAST BREAD": "Breakfast Bread",
    "GRAPES BLACK/BLUE": "Black Grapes",
    "HAM STEAKS/CUBES/SLICES": "Ham Steak",
    "HAMS-HALF/PORT BONE-IN": "Bone-In Half Ham",
    "HAMS-HALF/PORT BONELESS": "Boneless Half Ham",
    "HAMS-WHOLE BONELESS": "Boneless Whole Ham",
    "PORK-FULLY COOKED": "Fully Cooked Pork",
    "HERBS CILANTO": "Cilantro",
    "HERBS PARSLEY": "Parsley",
    "INSIDE FROST BULBS": "Frosted Light Bulbs",
    "LIQUID LAUNDRY DETERGENTS": "Liquid Laundry Detergent",
    "MACARONI DRY": "Dry Macaroni",
    "MARGARINE  STICK": "Margarine Sticks",
    "MARGARINE: SQUEEZE": "Squeeze Margarine",
    "MEAT: BEEF BULK": "Deli Roast Beef",
    "MEAT: LUNCHMEAT BULK": "Deli Lunch Meat",
    "MEAT: SAUS DRY BULK": "Deli Salami",
    "MEAT: TURKEY BULK": "Deli Turkey",
    "MEAT:HAM BULK": "Deli Ham",
    "MEAT: PATES/MOUSSE": "Pate",
    "MELON HALVES/QUARTERS": "Melon Halves",
    "MEXICAN BEANS REFRIED": "Refried Beans",
    "MEXICAN SEASONING MIXES": "Taco Seasoning",
    "MEXICAN TACO TOSTADO SHELLS": "Taco Shells",
    "MEXICAN PEPPERS CHILIES": "Mexican Chili Peppers",
    "MISC BAG SNACKS": "Bag Snacks",
    "MISCELLANEOUS CHEESE": "Specialty Cheese",
    "MISCELLANEOUS MILK": "Specialty Milk",
    "MOLASSES & SYRUPS": "Pancake Syrup",
    "MUSHROOMS W/WHOLE PKG": "Whole Mushrooms",
    "MUSHROOMS WHITE SLICED PKG": "Sliced White Mushrooms",
    "GARLIC WHOLE CLOVES": "Garlic",
    "NECTARINES YELLOW FLESH": "Yellow Nectarines",
    "PEACHES YELLOW FLESH": "Yellow Peaches",
    "NOODLES DRY": "Dry Noodles",
    "CAKES: NOVELTIES": "Novelty Cake",
    "CAKES: ANGEL FDS/CKE ROLLS": "Angel Food Cake",
    "CAKES - OTHER": "Cake",
    "ORGANIC VEGETABLES ALL OTHERS": "Organic Vegetables",
    "PAPER TOWELS & HOLDERS": "Paper Towels",
    "PAPER AND FOAM DRINKING CUPS": "Paper Cups",
    "PEANUTS ALL": "Peanuts",
    "PEPPERS ALL OTHER": "Peppers",
    "POTATOES: DRY": "Dry Potato Mix",
    "POTATOES SWEET&YAMS": "Sweet Potatoes",
    "POTTED MEATS AND SPREADS": "Potted Meat",
    "POURABLE SALAD DRESSINGS": "Salad Dressing",
    "PREP FD: SIDE DISHES (HOT)": "Hot Side Dish",
    "PROCESSED OTHER": "Prepared Produce",
    "PUDDING&GELATIN CUPS/CANS": "Pudding Cups",
    "REFRIG DIPS": "Chilled Dip",
    "REFRIGERATED MEXICAN PRODUCTS": "Refrigerated Tortillas",
    "RICE SIDE DISH MIXES DRY": "Rice Side Dish Mix",
    "NOODLE SIDE DISH MIXES": "Noodle Side Dish Mix",
    "ROLLS: BAGELS": "Bakery Bagels",
    "RYE BREADS": "Rye Bread",
    "SALAD BAR FRESH FRUIT": "Salad Bar Fresh Fruit",
    "SALAD DRESSING MIXES": "Salad Dressing Mix",
    "SALAD MUSTARD": "Yellow Mustard",
    "SALAD SPINACH": "Spinach Salad",
    "SNACK CAKE - MULTI PACK": "Snack Cakes",
    "SOUR CREAMS": "Sour Cream",
    "SPAGHETTI DRY": "Dry Spaghetti",
    "SPINACH BULK": "Loose Spinach",
    "STANDARD OATMEAL": "Oatmeal",
    "STUFFING MIXES": "Stuffing Mix",
    "SWEET GOODS - FULL SIZE": "Sweet Pastries",
    "TOMATOES HOT HOUSE BULK": "Hothouse Tomatoes",
    "TOMATOES HOTHOUSE ON THE VINE": "Tomatoes on the Vine",
    "TOMATOES VINE RIPE BULK": "Vine-Ripe Tomatoes",
    "TOMATOES VINE RIPE PKG": "Packaged Vine-Ripe Tomatoes",
    "TORTILLA/NACHO CHIPS": "Tortilla Chips",
    "TREATS": "Breakfast Treats",
    "VEGETABLE SALADS - PREPACK": "Vegetable Salad",
    "VEGETABLE/SALAD OIL": "Vegetable Oil",
    "VEGETABLES ALL OTHER": "Vegetables",
    "WATERMELON SEEDLESS WHOLE": "Seedless Watermelon",
    "SAL:OLIVES/PICKLES-BULK": "Olives",
    "FRUIT SNACKS": "Fruit Snacks",
    "PIZZA/ECONOMY": "Value Frozen Pizza",
    "PIZZA/PREMIUM": "Premium Frozen Pizza",
    "PIZZA/TRADITIONAL": "Frozen Pizza",
    "APPLES WEDGE/SLICES": "Apple Slices",
    "CARROTS SLICED/SHRED/STICKS": "Carrot Sticks",
    "CARROTS MINI PEELED": "Baby Carrots",
    "BREAD:ITALIAN/FRENCH": "Italian Bread",
    "BITS & MORSELS": "Baking Chips",
    "ICE CREAM SANDWICHES": "Ice Cream Sandwiches",
    "CATSUP": "Ketchup",
    "APPLES GOLD DELICIOUS (BULK&BA": "Golden Delicious Apples",
    "COOKIES: REGULAR": "Bakery Cookies",
    "FRZN BREAKFAST PASTRY": "Frozen Breakfast Pastries",
    "GREENS": "Leafy Greens",
    "PRIMAL": "Beef",
    "SANDWICHES - (COLD)": "Cold Sandwich",
    "GARLIC JAR": "Jarred Garlic",
    ("BACON", "BETTER FOR YOU"): "Lean Bacon",
    ("BACON", "ECONOMY"): "Bacon",
    ("BACON", "FLAVORED/OTHER"): "Flavored Bacon",
    ("BACON", "PRE-COOKED"): "Pre-Cooked Bacon",
    ("BACON", "PREMIUM"): "Premium Bacon",
    ("BEEF", "ANGUS"): "Angus Beef",
    ("BEEF", "CUBED MEATS"): "Cubed Beef",
    ("BEEF", "LEAN"): "Lean Ground Beef",
    ("BEEF", "PATTIES"): "Beef Patties",
    ("BEEF", "PRIMAL"): "Beef Cut",
    ("BEEF", "RIBS"): "Beef Ribs",
    ("BEEF", "SOUP/STEW"): "Stew Beef",
    ("BEEF", "STIR FRY/STRIPS/FAJITAS"): "Beef Strips",
    ("BEEF", "STUFFED/MIXED BEEF"): "Stuffed Beef",
    ("BREAKFAST SAUSAGE/SANDWICHES", "LINKS - COOKED"): "Cooked Breakfast Sausage Links",
    ("BREAKFAST SAUSAGE/SANDWICHES", "LINKS - RAW"): "Breakfast Sausage Links",
    ("BREAKFAST SAUSAGE/SANDWICHES", "OTHER"): "Breakfast Sausage",
    ("BREAKFAST SAUSAGE/SANDWICHES", "PATTIES - RAW"): "Breakfast Sausage Patties",
    ("BREAKFAST SAUSAGE/SANDWICHES", "ROLLS - FLAVORED/OTHER"): "Flavored Sausage Roll",
    ("BREAKFAST SAUSAGE/SANDWICHES", "ROLLS - PORK"): "Pork Sausage Roll",
    ("BREAKFAST SAUSAGE/SANDWICHES", "SANDWICHES/BISCUITS/GRAVY"): "Breakfast Biscuit Sandwich",
    ("DINNER SAUSAGE", "COCKTAILS"): "Cocktail Sausages",
    ("DINNER SAUSAGE", "FRESH"): "Fresh Dinner Sausage",
    ("DINNER SAUSAGE", "RED"): "Red Dinner Sausage",
    ("DINNER SAUSAGE", "SMOKED/COOKED"): "Smoked Sausage",
    ("DINNER SAUSAGE", "SMOKED/COOKED - BEEF"): "Smoked Beef Sausage",
    ("FRUIT - SHELF STABLE", "MANDARIN ORANGES/CITRUS SECT"): "Canned Mandarin Oranges",
    ("FRUIT - SHELF STABLE", "PEACHES"): "Canned Peaches",
    ("FRUIT - SHELF STABLE", "PEARS"): "Canned Pears",
    ("FRUIT - SHELF STABLE", "PINEAPPLE"): "Canned Pineapple",
    ("FRZN NOVELTIES/WTR ICE", "CONES"): "Ice Cream Cones",
    ("FRZN NOVELTIES/WTR ICE", "STICKS/ENROBED"): "Ice Cream Bars",
    ("FRZN NOVELTIES/WTR ICE", "WATER ICE"): "Ice Pops",
    ("HEAT/SERVE", "CHICKEN-FULLY COOKED"): "Fully Cooked Chicken",
    ("HEAT/SERVE", "ENTREES"): "Heat & Serve Entree",
    ("HEAT/SERVE", "SANDWICHES-OTHER"): "Heat & Serve Sandwich",
    ("HOT DOGS", "BETTER FOR YOU"): "Lean Hot Dogs",
    ("HOT DOGS", "ECONOMY - MEAT"): "Hot Dogs",
    ("HOT DOGS", "KOSHER/SPECIALTY"): "Kosher Hot Dogs",
    ("HOT DOGS", "PREMIUM - BEEF"): "Premium Beef Hot Dogs",
    ("HOT DOGS", "PREMIUM - MEAT"): "Premium Hot Dogs",
    ("ICE CREAM/MILK/SHERBTS", "PAILS"): "Ice Cream Pail",
    ("ICE CREAM/MILK/SHERBTS", "PREMIUM"): "Premium Ice Cream",
    ("ICE CREAM/MILK/SHERBTS", "PREMIUM PINTS"): "Premium Ice Cream Pint",
    ("ICE CREAM/MILK/SHERBTS", "SUPER PREMIUM PINTS"): "Super Premium Ice Cream Pint",
    ("ICE CREAM/MILK/SHERBTS", "TRADITIONAL"): "Ice Cream",
    ("LUNCHMEAT", "HAM"): "Sliced Ham",
    ("LUNCHMEAT", "LOAVE"): "Sliced Meat Loaf",
    ("LUNCHMEAT", "MISCELLANEOUS"): "Sliced Lunch Meat",
    ("LUNCHMEAT", "PEPPERONI/SALAMI"): "Pepperoni",
    ("LUNCHMEAT", "POULTRY"): "Sliced Turkey",
    ("LUNCHMEAT", "VARIETY PACK"): "Lunch Meat Variety Pack",
    ("MEAT - SHELF STABLE", "MICROWAVABLE CUPS"): "Microwave Meal Cup",
    ("MEAT - SHELF STABLE", "SANDWICH SAUCE"): "Sloppy Joe Sauce",
    ("PASTA SAUCE", "MAINSTREAM"): "Pasta Sauce",
    ("PASTA SAUCE", "PREMIUM"): "Premium Pasta Sauce",
    ("PASTA SAUCE", "VALUE"): "Value Pasta Sauce",
    ("PORK", "BUTTS"): "Pork Butt",
    ("PORK", "DRY"): "Dry-Rubbed Pork",
    ("PORK", "RIBS"): "Pork Ribs",
    ("PROCESSED", "CIDER"): "Apple Cider",
    ("PROCESSED", "DIPS"): "Vegetable Dip",
    ("SALAD BAR", "SOUPS"): "Salad Bar Soup",
    ("SALAD MIX", "BLENDS"): "Salad Blend",
    ("SALAD MIX", "GARDEN PLUS"): "Garden Plus Salad",
    ("SALAD MIX", "KITS"): "Salad Kit",
    ("SALAD MIX", "REGULAR GARDEN"): "Garden Salad",
    ("SEAFOOD - SHELF STABLE", "SALMON"): "Canned Salmon",
    ("SEAFOOD - SHELF STABLE", "TUNA"): "Canned Tuna",
    ("VEGETABLES - SHELF STABLE", "ASPARAGUS"): "Canned Asparagus",
    ("VEGETABLES - SHELF STABLE", "BEANS GREEN: FS/WHL/CUT"): "Canned Green Beans",
    ("VEGETABLES - SHELF STABLE", "CARROTS"): "Canned Carrots",
    ("VEGETABLES - SHELF STABLE", "CORN"): "Canned Corn",
    ("VEGETABLES - SHELF STABLE", "MISCELLANEOUS VEGETABLES"): "Canned Vegetables",
    ("VEGETABLES - SHELF STABLE", "MIXED VEGETABLES"): "Canned Mixed Vegetables",
    ("VEGETABLES - SHELF STABLE", "MUSHROOMS CND & GLASS"): "Canned Mushrooms",
    ("VEGETABLES - SHELF STABLE", "PEAS GREEN"): "Canned Green Peas",
    ("VEGETABLES - SHELF STABLE", "POTATOES WHITE"): "Canned White Potatoes",
    ("VEGETABLES - SHELF STABLE", "SPINACH & GREENS"): "Canned Spinach",
}

# Fruit and vegetables are filed noun first.
PRODUCE_NOUNS = "APPLES CARROTS CHERRIES CORN GRAPES MUSHROOMS ONIONS PEARS PEPPERS POTATOES SQUASH TOMATOES".split()

WORDS = {"Frzn": "Frozen", "And": "and", "In": "in", "Bbq": "BBQ", "Miscellaneous": "Assorted", "Misc": "Assorted"}

# The data names makers by number only. These names are made up, in the order of how much a maker sells; the private
# label has its own.
FIRST = "Green Amber Birch Cedar Clover Copper Fern Golden Harbor Hazel Hill Juniper Lake Linden Maple Meadow North Oak Pine River Silver Stone Sunny Willow".split()
SECOND = "Acre Barn Bay Brook Cottage Creek Crest Cross Dale Farm Ferry Field Forge Gate Glen Grove House Lane Mill Orchard Ridge Spring Vale Yard".split()
PRIVATE_LABEL = "Corner Pantry"


def brand_name(rank):
    """A name for the maker of this rank: all differ up to 576, and neighbours share no word."""
    return f"{FIRST[rank % 24]} {SECOND[(rank // 24 + 7 * rank) % 24]}"


def title_case(text):
    words = re.findall(r"[A-Za-z0-9%'&-]+", text)
    words = [re.sub(r"(^|-)([a-z])", lambda m: m[1] + m[2].upper(), word.lower()) for word in words]
    return " ".join(WORDS.get(word, word) for word in words)


def kind_of(row):
    category, kind = row["product_category"], row["product_type"]
    known = KINDS.get((category, kind)) or KINDS.get(kind)
    if known:
        return known
    kind = re.sub(r"\([^)]*\)?", " ", kind)  # asides, often cut short
    kind = re.sub(r"^(CAKES|COOKIES|PIES|ROLLS|BREAD)\s*: *([^/]*).*$", r"\2 \1", kind)  # ROLLS: DINNER
    kind = re.sub(r"^(PREP FD|SW GDS)\s*: *", "", kind)
    kind = kind.split("/")[0]
    first, _, rest = kind.strip().partition(" ")
    if row["department"] == "PRODUCE" and first in PRODUCE_NOUNS and rest:
        rest = re.sub(r"^(- )?|ALL OTHERS?$|\bOTHER\b|\bALL\b", "", rest).strip()
        kind = f"{rest} {first}"
    return title_case(kind.replace(" - ", " "))


UNITS = {"OZ": "oz", "OZS": "oz", "LB": "lb", "GA": "gal", "GAL": "gal", "QT": "qt", "PT": "pt", "L": "L", "ML": "ml",
         "CT": "ct", "PK": "pack", "PC": "pieces", "DZ": "dozen", "DOZ": "dozen", "SQ FT": "sq ft", "FT": "ft",
         "LOAD": "loads", "LD": "loads", "STEM": "stems"}


def size_of(row):
    """A readable size, or None: the field holds other things too, and a crate's size for loose fruit."""
    text = re.sub(r"\s+", " ", row["package_size"]).strip()
    text = re.sub(r"^L (?=[\d.])|^N (?=\d)| (BAG|CAN)$", "", text)
    text = {"PT": "1 PT", "DZ": "1 DZ", "GAL": "1 GAL"}.get(text, text)
    single = re.fullmatch(r"(\d*\.?\d+|\d+ \d/\d|1/[234]) ?([A-Z ]+)", text)
    packed = re.fullmatch(r"(\d+)(?: PK)?/(\d*\.?\d+) ?([A-Z]+)", text) or re.fullmatch(r"(?P<b>[\d.]+) (?P<c>[A-Z]+)/(?P<a>\d+) PK", text)
    if single and single[2] in UNITS:
        number, unit = tidy(single[1]), UNITS[single[2]]
        if row["department"] == "PRODUCE" and (unit == "ct" and float(number) > 6 or unit == "lb" and float(number) > 5):
            return None
        return None if unit == "pack" and float(number) > 48 else f"{number} {unit}"
    if packed:
        many, amount, unit = (packed["a"], packed["b"], packed["c"]) if "a" in packed.groupdict() else packed.groups()
        return f"{many} x {tidy(amount)} {UNITS[unit]}" if unit in UNITS else None
    return None


def tidy(number):
    """.50 is 0.5, and 16.0 is 16."""
    return f"{float(number):g}" if re.fullmatch(r"\d*\.\d+", number) else number


def read(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def best_sellers(folder):
    """The rows of what sells most, by basket lines, with how often and at what median price."""
    lines, prices = Counter(), defaultdict(list)
    for row in read(folder / "transactions_sample.csv.gz"):
        quantity, value = Decimal(row["quantity"]), Decimal(row["sales_value"])
        if quantity > 0 and value > 0:
            lines[row["product_id"]] += 1
            prices[row["product_id"]].append(value / quantity)
    products = []
    for row in read(folder / "products.csv.gz"):
        name = row["product_id"]
        columns = (row["department"], row["product_category"], row["product_type"])
        if name not in lines or not row["product_type"] or any(NOT_FOR_SALE.search(text) for text in columns):
            continue
        price = int((median(prices[name]) * 100).quantize(Decimal(1), ROUND_HALF_UP))
        if price > 0:
            products.append((lines[name], price, row))
    products.sort(key=lambda product: (-product[0], int(product[2]["product_id"])))
    return products[:HOW_MANY]


def brands_of(products):
    sold = Counter()
    for lines, _, row in products:
        if row["brand"] != "Private":
            sold[row["manufacturer_id"]] += lines
    ranked = sorted(sold, key=lambda maker: (-sold[maker], int(maker)))
    return {maker: brand_name(rank) for rank, maker in enumerate(ranked)}


def render(products):
    brands, seen = brands_of(products), Counter()
    for _, price, row in products:
        kind, size = kind_of(row), size_of(row)
        department = DEPARTMENTS.get(row["department"]) or title_case(row["department"])
        private = row["brand"] == "Private"
        brand = PRIVATE_LABEL if private else brands[row["manufacturer_id"]]
        title = f"{brand} {kind}" + (f", {size}" if size else "")
        seen[title] += 1
        variety = seen[title]
        if variety > 1:  # the data tells them apart by their number only: flavours, mostly
            title += f" (No. {variety})"
        attributes = {"name": kind, "department": department, "product_type": kind}
        if size:
            attributes["package_size"] = size
        attributes["manufacturer"] = tidy(row["manufacturer_id"])
        attributes["private_label"] = "true" if private else "false"
        yield {
            # A prefix of its own: the bare numbers meet those of other catalogues.
            "sku": f"CJ-{row['product_id']}",
            "title": title,
            "description": f"{kind} by {brand}" + (f", {size}" if size else "") + f". From our {department} department.",
            "brand": brand,
            "category": f"{department} > {kind}",
            "price": {"currency": "USD", "minorUnits": price},
            "attributes": attributes,
        }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for product in render(best_sellers(Path(sys.argv[1]))):
        print(json.dumps(product, ensure_ascii=False))


if __name__ == "__main__":
    main()
